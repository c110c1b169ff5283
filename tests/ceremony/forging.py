"""Contributions that a cheat would make: as `Ceremony` makes them, unchecked, and changed at will."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.ceremony import Ceremony
from pvcnn.ceremony.chain import update_of
from pvcnn.ceremony.circuit import CircuitState
from pvcnn.ceremony.contribution import Contribution
from pvcnn.ceremony.description import Description
from pvcnn.ceremony.knowledge import prove, times
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.progress import Silence

Arrays = dict[str, NDArray[Any]]


@dataclass
class Forgery:
    """What a cheat does otherwise than it should.

    factors: of the secrets, those not named are drawn from a seed. arrays: changes the new state's. ratios:
    what the points are multiplied by, if not what the factors say. points: changes the points themselves,
    before anything is proved. link: changes the contribution; its proofs are those of what it was before.
    """

    factors: Mapping[str, int]
    arrays: Callable[[Arrays], Arrays] = lambda arrays: arrays
    ratios: Mapping[str, int] | None = None
    points: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda points: points
    link: Callable[[Contribution], Contribution] = lambda link: link
    name: str = "cheat"
    beacon: Beacon | None = None

    def append_to(self, ceremony: Ceremony[Any]) -> Contribution:
        """Adds the contribution and its state."""
        description: Description = ceremony._description
        before = ceremony.chain()
        factors = {each.name: 1000 + i for i, each in enumerate(description.secrets)} | dict(self.factors)
        state = ceremony.load_state(before.state).times(factors, Silence())
        state = with_arrays(state, self.arrays(state.arrays()))
        ratios = description.ratios(factors) | dict(self.ratios or {})
        points = tuple(times(before.points[each.name], ratios[each.name]) for each in description.secrets)
        points = self.points(points)
        link = Contribution(
            len(before.contributions) + 1, self.name, before.digest, state.digest(), points, (), self.beacon
        )
        if self.beacon is None:
            update = update_of(description, before, link)
            link = replace(link, proofs=prove(update, [ratios[each.name] for each in description.secrets]))
        link = self.link(link)
        state.save(ceremony.folder.state(state.digest()))
        ceremony.folder.append(link)
        return link


def with_arrays(state: Any, arrays: Arrays) -> Any:
    """A state of the same kind with these arrays."""
    if isinstance(state, CircuitState):
        return CircuitState(state.shape, arrays)
    return PowersState(**arrays)


def changed(name: str, row: int, value: NDArray[np.uint64]) -> Callable[[Arrays], Arrays]:
    """Puts one point into one array."""

    def change(arrays: Arrays) -> Arrays:
        array = arrays[name].copy()
        array[row] = value
        return arrays | {name: array}

    return change
