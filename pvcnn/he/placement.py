"""Where the outputs of an operation go: layouts behind affine maps and behind sums over windows."""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.circuit import Affine, WindowSum
from pvcnn.he.diagonals import (
    Diagonals,
    UnitCosts,
    arranged,
    fold_steps,
    meetings,
    pair_up,
    subset_sums,
)
from pvcnn.he.layout import Layout, Place, Slots, combined, stabiliser
from pvcnn.program.windows import Windows


class DoesNotFitError(Exception):
    """The layout at hand does not do; the message says what does not fit, without naming the layer."""


@dataclass(frozen=True, eq=False)
class AffinePlan:
    """How an affine map is evaluated, and where its outputs lie.

    `after` has the copies of the result; products are summed up in the copies `written`. `phases` are what
    the channels of each output ciphertext come multiplied with.
    """

    after: Layout
    diagonals: Diagonals
    written: tuple[int, ...]
    phases: tuple[complex, ...]


@dataclass(frozen=True)
class SumPlan:
    """Rotations, in stages: after each stage the value is the sum of itself and its rotations."""

    after: Layout
    stages: tuple[tuple[int, ...], ...]

    @property
    def rotations(self) -> int:
        return sum(len(stage) for stage in self.stages)


def place_sum(operation: WindowSum, before: Layout, slot_count: int) -> SumPlan:
    """In place: the sum of a window is found where its first entry was. Raises DoesNotFitError."""
    _, height, width = before.shape
    down, across = operation.windows.outputs(height, width)
    rows, row_offsets = _window_axis(operation.windows, 0, down, before.rows, slot_count)
    columns, column_offsets = _window_axis(operation.windows, 1, across, before.columns, slot_count)
    stages = (*_stages(row_offsets, slot_count), *_stages(column_offsets, slot_count))
    summed = np.add.outer(row_offsets, column_offsets).ravel()
    copies = combined(before.copies, stabiliser(summed, slot_count), slot_count)
    return SumPlan(Layout(rows, columns, before.channels, copies), stages)


def _window_axis(
    windows: Windows, axis: int, outputs: int, places: tuple[int, ...], slot_count: int
) -> tuple[tuple[int, ...], Slots]:
    met = np.array(places)[windows.met(axis, outputs, len(places))]
    offsets = (met - met[:, :1]) % slot_count
    if (offsets != offsets[0]).any():
        raise DoesNotFitError("the entries of a window do not lie equally in all windows")
    return tuple(met[:, 0].tolist()), offsets[0]


def _stages(offsets: Slots, slot_count: int) -> tuple[tuple[int, ...], ...]:
    """Rotations whose repeated sums reach all offsets: by doubling, as far as the number allows."""
    members = set(offsets.tolist())
    if len(members) == 1:
        return ()
    for step in offsets.tolist()[1:]:
        half: set[int] = set()
        for member in offsets.tolist():
            if member not in half and (member - step) % slot_count not in half:
                half.add(member)
        if {(m + s) % slot_count for m in half for s in (0, step)} == members and 2 * len(half) == len(
            members
        ):
            kept = np.array([offset for offset in offsets.tolist() if offset in half])
            return (*_stages(kept, slot_count), (step,))
    return (tuple(offset for offset in offsets.tolist() if offset),)


def place_affine(
    operation: Affine,
    before: Layout,
    slot_count: int,
    costs: UnitCosts,
    powers: int | None,
    packs: bool = True,
) -> Iterator[AffinePlan]:
    """Ways to evaluate an affine map. Raises DoesNotFitError.

    `powers` is the degree of the powers that follow before the next affine map, all together, or None if
    channels must not be merged in pairs behind them. Unless it `packs`, each has a ciphertext.
    """
    outputs, height, width = operation.output_shape
    anchors = _anchors(operation.windows, (height, width), before)
    axes = (
        meetings(operation.windows.met(0, height, len(before.rows)), before.rows, anchors[0], height == 1),
        meetings(
            operation.windows.met(1, width, len(before.columns)), before.columns, anchors[1], width == 1
        ),
    )
    if not all(len(axis.tap) for axis in axes):
        raise DoesNotFitError("all windows meet nothing but padding")
    spread = [
        fold_steps(np.unique(axis.place - places[0]), slot_count) if count == 1 else ()
        for axis, places, count in zip(axes, anchors, (height, width), strict=True)
    ]
    sums = np.add.outer(subset_sums(spread[0]), subset_sums(spread[1])).ravel()
    area = np.add.outer(np.add.outer(np.array(anchors[0]), np.array(anchors[1])), sums).ravel() % slot_count
    if len(np.unique(area)) != area.size:
        raise DoesNotFitError(f"outputs of {height}x{width} do not fit the slots of its inputs")
    merges = powers is not None and not before.is_complex
    seen = set()
    for order in _orders(before, slot_count) if packs else [()]:
        bits, occupied = _free_bits(area, order, slot_count, outputs)
        if bits in seen:
            continue
        seen.add(bits)
        channels = _channels(outputs, bits, merges and powers == 1)
        used = {bit for place in channels for bit in bits if place.slot & bit}
        folds = _channel_folds(before, occupied, slot_count, used)
        occupied = np.add.outer(occupied, subset_sums(folds)).ravel() % slot_count
        written, occupied = _written(before.copies, occupied, slot_count)
        target = Layout(anchors[0], anchors[1], channels)
        phases = _phases(target, powers) if merges else (1.0 + 0.0j,) * target.ciphertexts
        pairs = pair_up(before, target, operation.connected, folds, phases, slot_count)
        used_copies = np.unique((pairs.place + pairs.shift - _slots_of(before, pairs.input)) % slot_count)
        written = tuple(
            copy
            for copy in written
            if set(((used_copies + copy) % slot_count).tolist()) <= set(before.copies)
        )
        all_folds = (*folds, *spread[0], *spread[1])
        diagonals = arranged(axes, pairs, all_folds, before.is_complex, slot_count, costs)
        copies = combined(written, stabiliser(subset_sums(all_folds), slot_count), slot_count)
        after = replace(target, copies=copies)
        if after.is_valid(slot_count):
            yield AffinePlan(after, diagonals, written, phases)
    if not seen:
        raise DoesNotFitError(f"outputs of {height}x{width} do not fit the slots of its inputs")


def _slots_of(layout: Layout, channels: Slots) -> Slots:
    return np.array([place.slot for place in layout.channels])[channels]


def _anchors(
    windows: Windows, outputs: tuple[int, int], before: Layout
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first slots of output rows and columns: those of inputs that stand `stride` apart.

    Where padding makes more outputs than that, row by row from slot 0.
    """
    places = (before.rows, before.columns)
    reach = [stride * (count - 1) for stride, count in zip(windows.stride, outputs, strict=True)]
    if reach[0] < len(places[0]) and reach[1] < len(places[1]):
        return (
            places[0][: reach[0] + 1 : windows.stride[0]],
            places[1][: reach[1] + 1 : windows.stride[1]],
        )
    height, width = outputs
    pitch = 1 << (width - 1).bit_length()
    return tuple(pitch * i for i in range(height)), tuple(range(width))


def _orders(before: Layout, slot_count: int) -> Iterator[tuple[int, ...]]:
    """Orders in which bits of the slot number are tried for output channels."""
    every = [1 << k for k in range(slot_count.bit_length() - 1)]
    copies = [bit for bit in every if bit in before.copies]
    held = [bit for bit in every if any(place.slot & bit for place in before.channels)]
    gaps = [bit for bit in every if bit not in copies and bit not in held]
    for rest in (gaps, gaps[::-1]):
        yield (*copies, *held, *rest)
        yield (*copies, *rest, *held)
        yield (*held, *copies, *rest)
        yield (*rest, *copies, *held)


def _free_bits(
    area: Slots, order: Iterable[int], slot_count: int, wanted: int
) -> tuple[tuple[int, ...], Slots]:
    """Bits that move `area` to where it does not meet itself, for `wanted` channels, and what they occupy."""
    bits: list[int] = []
    occupied = area
    for bit in order:
        if 1 << len(bits) >= wanted:
            break
        moved = (occupied + bit) % slot_count
        if not _meets(moved, occupied, slot_count):
            bits.append(bit)
            occupied = np.concatenate([occupied, moved])
    return tuple(bits), occupied


def _meets(moved: Slots, occupied: Slots, slot_count: int) -> bool:
    taken = np.zeros(slot_count, bool)
    taken[occupied] = True
    return bool(taken[moved].any())


def _channels(count: int, bits: tuple[int, ...], paired: bool) -> tuple[Place, ...]:
    """Channel after channel into the slots that sums of bits give, then into the next ciphertext.

    If `paired`, every second such load becomes the imaginary part of the one before.
    """
    sums = subset_sums(bits)
    loads = [divmod(channel, len(sums)) for channel in range(count)]
    if paired:
        return tuple(Place(load // 2, load % 2, int(sums[k])) for load, k in loads)
    return tuple(Place(load, 0, int(sums[k])) for load, k in loads)


def _channel_folds(before: Layout, occupied: Slots, slot_count: int, used: set[int]) -> tuple[int, ...]:
    """Bits by which input channels lie apart and that outputs leave free."""
    bits = int(np.bitwise_or.reduce([place.slot for place in before.channels]))
    folds: list[int] = []
    for k in reversed(range(slot_count.bit_length() - 1)):
        bit = 1 << k
        if not bits & bit or bit in used:
            continue
        moved = (occupied + bit) % slot_count
        if not _meets(moved, occupied, slot_count):
            folds.append(bit)
            occupied = np.concatenate([occupied, moved])
    return tuple(folds)


def _written(copies: tuple[int, ...], occupied: Slots, slot_count: int) -> tuple[tuple[int, ...], Slots]:
    """The copies in which outputs can be written as well, since nothing else is there."""
    written = [0]
    taken = occupied
    for copy in copies:
        moved = (occupied + copy) % slot_count
        if copy and not _meets(moved, taken, slot_count):
            written.append(copy)
            taken = np.concatenate([taken, moved])
    return tuple(written), taken


def _phases(layout: Layout, powers: int | None) -> tuple[complex, ...]:
    """1 for even ciphertexts; for odd ones what the powers that follow turn into i."""
    if powers is None or powers == 1:
        return (1.0 + 0.0j,) * layout.ciphertexts
    root = cmath.exp(0.5j * cmath.pi / powers)
    return tuple(root if k % 2 else 1.0 + 0.0j for k in range(layout.ciphertexts))


def place_answer(before: Layout, slot_count: int) -> tuple[Layout, NDArray[np.complex128]]:
    """The layout of the answer, one ciphertext, and what each channel is multiplied with on its way there.

    Ciphertexts without imaginary parts are paired. Raises DoesNotFitError if one ciphertext cannot hold all.
    """
    pairs = not before.is_complex
    loads = -(-before.ciphertexts // 2) if pairs else before.ciphertexts
    held = [
        np.unique([p.slot for p in before.channels if (p.ciphertext // 2 if pairs else p.ciphertext) == load])
        for load in range(loads)
    ]
    area = before.area().ravel()
    taken = np.zeros(slot_count, bool)
    starts: list[int] = []
    for own in held:
        footprint = np.add.outer(own, area).ravel()
        start = next((k for k in range(slot_count) if not taken[(footprint + k) % slot_count].any()), None)
        if start is None:
            _, height, width = before.shape
            raise DoesNotFitError(
                f"leaves {len(before.channels)} channels of {height}x{width}, and one ciphertext of"
                f" {slot_count} slots holds {2 * (slot_count // (height * width))} at most"
            )
        starts.append(start)
        taken[(footprint + start) % slot_count] = True
    places, factors = [], []
    for place in before.channels:
        load, part = divmod(place.ciphertext, 2) if pairs else (place.ciphertext, place.part)
        places.append(Place(0, part, (place.slot + starts[load]) % slot_count))
        factors.append(1j if pairs and part else 1.0)
    return Layout(before.rows, before.columns, tuple(places)), np.array(factors, np.complex128)
