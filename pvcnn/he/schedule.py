"""The chain of operations with their layouts: stage by stage, and what the stages cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.circuit import Affine, Operation, Power, Step, WindowSum, steps
from pvcnn.he.costs import Costs
from pvcnn.he.diagonals import Pairs, UnitCosts, arranged, meetings
from pvcnn.he.layout import Layout, Place
from pvcnn.he.placement import (
    AffinePlan,
    DoesNotFitError,
    SumPlan,
    place_affine,
    place_answer,
    place_sum,
)
from pvcnn.program.layers import Shape
from pvcnn.program.private import PrivatePart
from pvcnn.program.windows import Windows

#: By how many bits rows or columns are taken apart at most, to lie in the highest bits of the slot number.
_MOST_BITS_APART = 3

#: How many partial chains of one input layout are followed further.
_BEAM = 2


@dataclass(frozen=True)
class PowerPlan:
    """`phases` are what the values of each ciphertext come multiplied with; `merges`: whether ciphertexts
    2k and 2k + 1 are added, the latter then being i times its value."""

    after: Layout
    phases: tuple[complex, ...]
    merges: bool


Plan: TypeAlias = AffinePlan | SumPlan | PowerPlan


def primes_used(operation: Operation) -> int:
    """By an operation that rescales whatever it can."""
    match operation:
        case Affine():
            return 1
        case WindowSum():
            return 0
        case Power(degree=degree):
            return 1 if degree == 2 else 2


@dataclass(frozen=True, eq=False)
class Stage:
    """An operation in its place; the last one of a chain is the answer's mask, behind the last layer."""

    step: Step
    plan: Plan
    before: Layout

    @property
    def name(self) -> str:
        return self.step.operation.name

    @property
    def after(self) -> Layout:
        return self.plan.after

    @property
    def rescalings(self) -> int:
        """How many primes the operation uses up, if it rescales whatever it can."""
        return primes_used(self.step.operation)

    @property
    def key_switches(self) -> int:
        match self.plan:
            case AffinePlan(diagonals=diagonals):
                after = len(diagonals.folds) + diagonals.conjugates
                return len(diagonals.babies) + len(diagonals.giants) + diagonals.outputs * after
            case SumPlan(rotations=rotations):
                return rotations * self.before.ciphertexts
            case PowerPlan():
                return self.after.ciphertexts * self.rescalings

    @property
    def products(self) -> int:
        """With plaintexts."""
        return len(self.plan.diagonals.terms) if isinstance(self.plan, AffinePlan) else 0

    @property
    def rotations(self) -> set[int]:
        match self.plan:
            case AffinePlan(diagonals=diagonals):
                return diagonals.rotations
            case SumPlan(stages=stages):
                return {step for stage in stages for step in stage}
            case PowerPlan():
                return set()

    def key_elements(self, degree: int) -> set[int]:
        """The Galois elements of the keys that it needs, 0 standing for relinearisation."""
        elements = {pow(3, step % (degree // 2), 2 * degree) for step in self.rotations}
        if isinstance(self.plan, PowerPlan):
            elements.add(0)
        if isinstance(self.plan, AffinePlan) and self.plan.diagonals.conjugates:
            elements.add(2 * degree - 1)
        return elements

    def cost(self, costs: Costs, primes: int, folds_early: bool = False) -> float:
        """Milliseconds, with so many data primes left before it."""
        switch = costs.key_switch(primes)
        match self.plan:
            case AffinePlan(diagonals=diagonals):
                late = diagonals.outputs * (len(diagonals.folds) + diagonals.conjugates)
                early = len(diagonals.babies) + len(diagonals.giants)
                return (
                    early * switch
                    + late * costs.key_switch(primes if folds_early else primes - 1)
                    + self.products * costs.product(primes)
                    + diagonals.outputs * costs.rescale(primes)
                )
            case SumPlan():
                return self.key_switches * switch
            case PowerPlan():
                squares = self.before.ciphertexts * costs.square(primes) * self.rescalings
                return squares + self.key_switches * (switch + costs.rescale(primes))


@dataclass(frozen=True, eq=False)
class Chain:
    """All stages at one degree, the answer's mask included."""

    input: Layout
    stages: tuple[Stage, ...]

    @property
    def output(self) -> Layout:
        return self.stages[-1].after


def chain(private: PrivatePart, degree: int, packs: bool = True) -> Chain:
    """The cheapest chain of stages at a degree.

    Unless it `packs`, every channel has a ciphertext of its own, row by row: what layouts are compared with.

    Raises ParameterError, naming the layer, for a private part that cannot be evaluated at this degree.
    """
    todo = steps(private)
    costs, slot_count = Costs(degree), degree // 2
    depth = 1 + sum(primes_used(step.operation) for step in todo)
    best: tuple[float, Chain] | None = None
    failures = []
    for start in _starts(private.input_shape, slot_count, _extent(private.input_shape, todo), packs):
        try:
            cost, stages = _cheapest(
                todo, start, costs, depth + 1, np.inf if best is None else best[0], packs
            )
        except ParameterError as error:
            failures.append(error)
            continue
        if stages and (best is None or cost < best[0]):
            best = cost, Chain(start, stages)
    if best is None:
        raise (
            failures[0]
            if failures
            else ParameterError(
                f"{todo[0].operation.name}: a {private.input_shape[1]}x{private.input_shape[2]} channel does"
                f" not fit the {slot_count} slots of a ciphertext"
            )
        )
    return best[1]


def _starts(shape: Shape, slot_count: int, extent: tuple[int, int], packs: bool) -> Iterator[Layout]:
    for layout in input_layouts(shape, slot_count, extent):
        if packs:
            yield layout
        else:
            places = tuple(Place(channel, 0, 0) for channel in range(shape[0]))
            yield Layout(layout.rows, layout.columns, places)
            return


def _extent(shape: Shape, todo: tuple[Step, ...]) -> tuple[int, int]:
    """Rows and columns that a channel needs in slots: more than a frame has where padding adds some."""
    _, height, width = shape
    extent, apart, inside = [height, width], [1, 1], (height, width)
    for step in todo:
        if isinstance(step.operation, Power):
            continue
        inside = step.operation.windows.outputs(*inside)
        for axis, stride in enumerate(step.operation.windows.stride):
            apart[axis] *= stride
            extent[axis] = max(extent[axis], apart[axis] * (inside[axis] - 1) + 1)
    return extent[0], extent[1]


def input_layouts(shape: Shape, slot_count: int, extent: tuple[int, int]) -> Iterator[Layout]:
    """Ways to lay out a frame: rows, columns or both taken apart to some bit, or row by row."""
    channels, height, width = shape
    bits, row_bits, column_bits = (
        slot_count.bit_length() - 1,
        (extent[0] - 1).bit_length(),
        (extent[1] - 1).bit_length(),
    )
    free = bits - row_bits - column_bits
    if free < 0:
        if height * width <= slot_count:
            places = tuple(Place(channel, 0, 0) for channel in range(channels))
            yield Layout(tuple(range(0, height * width, width)), tuple(range(width)), places)
        return
    for rows_apart in range(min(row_bits, _MOST_BITS_APART) + 1):
        for columns_apart in range(min(column_bits, _MOST_BITS_APART) + 1):
            order = [column_bits - columns_apart, row_bits - rows_apart, free, rows_apart, columns_apart]
            firsts = [0, *np.cumsum(order).tolist()]
            columns = _split(width, columns_apart, firsts[4], firsts[0])
            rows = _split(height, rows_apart, firsts[3], firsts[1])
            used = min(free, (channels - 1).bit_length())
            copies = tuple(k << (firsts[2] + used) for k in range(1 << (free - used)))
            loads = [divmod(channel, 1 << used) for channel in range(channels)]
            for paired in {False, channels > 1 << used}:
                places = tuple(
                    Place(load // 2, load % 2, k << firsts[2]) if paired else Place(load, 0, k << firsts[2])
                    for load, k in loads
                )
                yield Layout(rows, columns, places, copies)


def _split(count: int, apart: int, low_place: int, high_place: int) -> tuple[int, ...]:
    """Slots of an axis: an entry's lowest `apart` bits go to bit `low_place`, the others to `high_place`."""
    return tuple(((k & ((1 << apart) - 1)) << low_place) + (k >> apart << high_place) for k in range(count))


def _cheapest(
    todo: tuple[Step, ...], start: Layout, costs: Costs, primes: int, bound: float, packs: bool
) -> tuple[float, tuple[Stage, ...]]:
    """The chain that costs least among those followed, from an input layout; infinite cost beyond `bound`."""
    states: list[tuple[float, tuple[Stage, ...]]] = [(0.0, ())]
    for index, step in enumerate(todo):
        grown: list[tuple[float, tuple[Stage, ...]]] = []
        try:
            for cost, stages in states:
                before = stages[-1].after if stages else start
                for plan in _plans(todo, index, before, stages, costs, primes, packs):
                    stage = Stage(step, plan, before)
                    grown.append((cost + stage.cost(costs, primes), (*stages, stage)))
        except DoesNotFitError as error:
            raise ParameterError(f"{step.operation.name}: {error}") from error
        states = sorted(grown, key=lambda state: (state[0], -len(state[1][-1].after.copies)))[:_BEAM]
        if states[0][0] >= bound:
            return np.inf, ()
        primes -= states[0][1][-1].rescalings
    finished = []
    for cost, stages in states:
        try:
            answer = _answer(stages[-1], costs, primes)
        except DoesNotFitError as error:
            raise ParameterError(f"{todo[-1].operation.name}: {error}") from error
        finished.append((cost + answer.cost(costs, primes), (*stages, answer)))
    return min(finished, key=lambda state: state[0])


def _plans(
    todo: tuple[Step, ...],
    index: int,
    before: Layout,
    stages: tuple[Stage, ...],
    costs: Costs,
    primes: int,
    packs: bool,
) -> Iterable[Plan]:
    slot_count = costs.degree // 2
    match todo[index].operation:
        case Affine() as operation:
            units = UnitCosts(costs.key_switch(primes), costs.product(primes))
            return place_affine(operation, before, slot_count, units, _powers(todo, index), packs)
        case WindowSum() as operation:
            return [place_sum(operation, before, slot_count)]
        case Power():
            phases = _phases(stages, before)
            is_last = _powers(todo, index) == 1
            merges = is_last and any(phase != 1 for phase in phases)
            after = before.merged() if merges else before
            return [PowerPlan(after, phases, merges)]


def _powers(todo: tuple[Step, ...], index: int) -> int:
    """The degree of all powers behind a step together, up to the next affine map."""
    product = 1
    for step in todo[index + 1 :]:
        if isinstance(step.operation, Affine):
            break
        if isinstance(step.operation, Power):
            product *= step.operation.degree
    return product


def _phases(stages: tuple[Stage, ...], before: Layout) -> tuple[complex, ...]:
    """What the values come multiplied with, from the last affine map through the powers since."""
    phases: tuple[complex, ...] = (1.0 + 0.0j,) * before.ciphertexts
    for stage in stages:
        match stage.plan:
            case AffinePlan():
                phases = stage.plan.phases
            case PowerPlan(merges=False):
                operation = stage.step.operation
                assert isinstance(operation, Power)
                phases = tuple(phase**operation.degree for phase in phases)
            case PowerPlan():
                phases = (1.0 + 0.0j,) * stage.after.ciphertexts
    return phases


def _answer(last: Stage, costs: Costs, primes: int) -> Stage:
    """The mask that leaves the outputs alone, and brings them into one ciphertext."""
    before, slot_count = last.after, costs.degree // 2
    after, factors = place_answer(before, slot_count)
    count, height, width = before.shape
    first: dict[tuple[int, int], int] = {}
    for channel, place in enumerate(before.channels):
        first.setdefault((place.ciphertext, place.slot), channel)
    own = np.array(sorted(first.values()))
    inputs, outputs = np.array(before.channels), np.array(after.channels)
    pairs = Pairs(
        own,
        own,
        outputs[own, 0],
        inputs[own, 0],
        outputs[own, 2],
        inputs[own, 2] - outputs[own, 2],
        factors[own],
    )
    single = Windows((1, 1))
    axes = (
        meetings(single.met(0, height, height), before.rows, after.rows, False),
        meetings(single.met(1, width, width), before.columns, after.columns, False),
    )
    units = UnitCosts(costs.key_switch(primes), costs.product(primes))
    diagonals = arranged(axes, pairs, (), False, slot_count, units)
    weight = last.step.factor * np.eye(count)[:, :, None, None]
    mask = Affine("answer", "mask", single, weight, np.eye(count, dtype=bool), last.step.offset, before.shape)
    step = Step(mask, last.step.layer, 1.0, np.zeros_like(last.step.offset))
    return Stage(step, AffinePlan(after, diagonals, (0,), (1.0 + 0.0j,)), before)
