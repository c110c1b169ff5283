"""What the planner decides: scales, shifts and tables, by value."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.table import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureScale:
    """Features are round(private output / step), integers in [low, high]."""

    step: float
    low: int
    high: int


class Misaligned(Exception):  # noqa: N818 - caught by the planner
    """What node `index` takes as input `position` needs another proportion between its channels' scales."""

    def __init__(self, index: int, position: int) -> None:
        super().__init__(index, position)
        self.index, self.position = index, position


class CapExceeded(Exception):  # noqa: N818 - caught by the planner
    """The activation node `index` needs one scale for all channels after all."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


@dataclass(frozen=True, eq=False)
class ScalePlan:
    """Scales (channels,) by value number, and what follows from them.

    `final`: of the integers that other layers take; `wide`: of accumulators, before any table.
    `tables`: shift and table of the Requantise layer that makes a final value. `multipliers`: for the
    Add nodes that are not parts of others, the values that they combine, each with its multiplier.
    """

    final: dict[int, Floats] = field(default_factory=dict)
    wide: dict[int, Floats] = field(default_factory=dict)
    tables: dict[int, tuple[int, Table]] = field(default_factory=dict)
    multipliers: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
