"""An affine map between two layouts as rotations and products with plaintexts.

Output slot p needs the value of slot p + d for every weight that meets there: d is a diagonal. Written as
d = baby + giant, the map is

    sum_giant rotate_giant( sum_baby plaintext[baby, giant] * rotate_baby(input) )

so that rotations of the input are shared by all filters and those of the sums by all inputs. A plaintext is
zero wherever its diagonal carries nothing: that masks garbage, padding and what a rotation wrapped around,
at no cost. Diagonals are sums of three parts, one of the rows, one of the columns and one of the channels,
and each part goes to the babies or the giants, whichever is cheaper; that of the channels can be divided.

Partial sums may end up in several slots, from which `folds` (rotate and add, in this order) bring them
together: channels of the input that lie in slots which the output leaves free need no diagonals then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.layout import Layout, Slots


class Axis(NamedTuple):
    """Where kernel rows (or columns) meet output rows: one entry for each meeting that is not padding.

    tap: kernel row; place: the first slot of the row in which the product is summed up; shift: how much
    further the input row's is.
    """

    tap: Slots
    place: Slots
    output: Slots
    shift: Slots


class Pairs(NamedTuple):
    """One entry for each output and input channel that are connected.

    place: the slot of the output channel in which the product is summed up, folds included; shift: how
    much further the input channel's is; factor: what the weight is multiplied with.
    """

    output: Slots
    input: Slots
    output_ciphertext: Slots
    input_ciphertext: Slots
    place: Slots
    shift: Slots
    factor: NDArray[np.complex128]


class Term(NamedTuple):
    """One plaintext product."""

    input_ciphertext: int
    output_ciphertext: int
    baby: int
    giant: int


@dataclass(frozen=True, eq=False)
class Diagonals:
    """The products of an affine map, each with the (row shift, column shift, channel shift) that it serves.

    folds: rotations that follow; conjugates: whether the conjugate is added in the end, which leaves twice
    the real part.
    """

    rows: Axis
    columns: Axis
    pairs: Pairs
    terms: dict[Term, list[tuple[int, int, int]]]
    folds: tuple[int, ...]
    conjugates: bool

    @property
    def babies(self) -> set[tuple[int, int]]:
        """(input ciphertext, rotation), those by 0 excepted."""
        return {(term.input_ciphertext, term.baby) for term in self.terms if term.baby}

    @property
    def giants(self) -> set[tuple[int, int]]:
        """(output ciphertext, rotation), those by 0 excepted."""
        return {(term.output_ciphertext, term.giant) for term in self.terms if term.giant}

    @property
    def outputs(self) -> int:
        """Ciphertexts that come out."""
        return 1 + max(term.output_ciphertext for term in self.terms)

    @property
    def rotations(self) -> set[int]:
        """All steps; conjugation is none."""
        return {step for _, step in self.babies | self.giants} | set(self.folds)

    def plaintext(
        self, term: Term, weight: NDArray[np.float64], copies: tuple[int, ...], slot_count: int
    ) -> NDArray[np.complex128]:
        """(slot_count,) of a term, for weights (out, in, kernel rows, kernel columns)."""
        rows, columns, pairs = self.rows, self.columns, self.pairs
        own = (pairs.input_ciphertext == term.input_ciphertext) & (
            pairs.output_ciphertext == term.output_ciphertext
        )
        values = np.zeros(slot_count, np.complex128)
        for row_shift, column_shift, channel_shift in self.terms[term]:
            r, c = np.flatnonzero(rows.shift == row_shift), np.flatnonzero(columns.shift == column_shift)
            k = np.flatnonzero(own & (pairs.shift == channel_shift))
            places = pairs.place[k, None, None] + rows.place[r, None] + columns.place[None, c] + term.giant
            factors = (
                pairs.factor[k, None, None]
                * weight[
                    pairs.output[k, None, None],
                    pairs.input[k, None, None],
                    rows.tap[r, None],
                    columns.tap[None, c],
                ]
            )
            for copy in copies:
                np.add.at(values, (places + copy) % slot_count, factors)
        return values


@dataclass(frozen=True)
class UnitCosts:
    """Of one rotation and one product with a plaintext at a level."""

    rotation: float
    product: float


def arranged(
    axes: tuple[Axis, Axis],
    pairs: Pairs,
    folds: tuple[int, ...],
    conjugates: bool,
    slot_count: int,
    costs: UnitCosts,
) -> Diagonals:
    """The cheapest division of the diagonals into babies and giants."""
    rows, columns = axes
    table = _meetings(rows, columns, pairs)
    inputs, outputs = table[:, 3], table[:, 4]
    diagonals = table[:, :3].sum(1)
    least, chosen = np.inf, diagonals
    for baby in _divisions(table, slot_count):
        baby = baby % slot_count
        giant = (diagonals - baby) % slot_count
        turned = inputs * slot_count + baby
        summed = outputs * slot_count + giant
        babies = len(np.unique(turned[baby != 0]))
        giants = len(np.unique(summed[giant != 0]))
        products = len(np.unique(turned * (slot_count * (1 + outputs.max())) + summed))
        cost = costs.rotation * (babies + giants) + costs.product * products
        if cost < least:
            least, chosen = cost, baby
    keys = np.column_stack([inputs, outputs, chosen, (diagonals - chosen) % slot_count])
    best: dict[Term, list[tuple[int, int, int]]] = {}
    for key, shifts in zip(keys.tolist(), table[:, :3].tolist(), strict=True):
        best.setdefault(Term(*key), []).append(tuple(shifts))
    return Diagonals(rows, columns, pairs, dict(sorted(best.items())), folds, conjugates)


def _meetings(rows: Axis, columns: Axis, pairs: Pairs) -> Slots:
    """(n, 5): row, column and channel shift, input and output ciphertext, each combination once."""
    channel = np.unique(
        np.column_stack([pairs.shift, pairs.input_ciphertext, pairs.output_ciphertext]), axis=0
    )
    r, c, k = np.meshgrid(
        np.unique(rows.shift), np.unique(columns.shift), np.arange(len(channel)), indexing="ij"
    )
    return np.column_stack([r.ravel(), c.ravel(), channel[k.ravel()]])


def _divisions(table: Slots, slot_count: int) -> Iterator[Slots]:
    """What of each diagonal is a baby: rows or not, columns or not, a part of the channels or not."""
    row, column, channel = table[:, :3].T
    parts = [np.zeros_like(channel), channel]
    width = 2
    while width < slot_count:
        parts.append((channel + width // 2) % width - width // 2)
        width *= 2
    distinct = {part.tobytes(): part for part in parts}.values()
    for with_rows in (1, 0):
        for with_columns in (1, 0):
            for part in distinct:
                yield with_rows * row + with_columns * column + part


def meetings(met: NDArray[np.int64], inputs: tuple[int, ...], outputs: tuple[int, ...], folded: bool) -> Axis:
    """Of an axis: met (outputs, kernel) says which input row each output meets, -1 for padding.

    Where there is one output row, `folded` lets products be summed up where the input rows are.
    """
    output, tap = np.nonzero(met >= 0)
    source = np.array(inputs)[met[output, tap]]
    place = np.array(outputs)[output]
    if folded and len(source):
        place = place + source - inputs[met[0][met[0] >= 0][0]]
    return Axis(tap, place, output, source - place)


def fold_steps(offsets: Slots, slot_count: int) -> tuple[int, ...]:
    """Powers of two whose sums give every offset, largest first."""
    bits = int(np.bitwise_or.reduce(offsets % slot_count))
    return tuple(1 << k for k in reversed(range(slot_count.bit_length() - 1)) if bits >> k & 1)


def subset_sums(steps: tuple[int, ...]) -> Slots:
    """All sums of some of the steps."""
    sums = np.zeros(1, np.int64)
    for step in steps:
        sums = np.concatenate([sums, sums + step])
    return sums


def pair_up(
    before: Layout,
    after: Layout,
    connected: NDArray[np.bool_],
    folds: tuple[int, ...],
    phases: tuple[complex, ...],
    slot_count: int,
) -> Pairs:
    """For each pair of channels the copy to read and the fold to write, such that few shifts are needed."""
    output, source = np.nonzero(connected)
    inputs, outputs = np.array(before.channels), np.array(after.channels)
    choices = np.add.outer(np.array(before.copies), -subset_sums(folds)).ravel()
    spots = np.tile(subset_sums(folds), len(before.copies))
    wanted = inputs[source, 2] - outputs[output, 2]
    shifts = (wanted[:, None] + choices + slot_count // 2) % slot_count - slot_count // 2
    chosen = _few(shifts)
    shift = shifts[np.arange(len(shifts)), chosen]
    real = 0.5 if before.is_complex else 1.0
    factor = np.where(inputs[source, 1] == 1, -1j * real, real) * np.array(phases)[outputs[output, 0]]
    factor = factor * np.where(outputs[output, 1] == 1, 1j, 1)
    place = outputs[output, 2] + spots[chosen]
    return Pairs(output, source, outputs[output, 0], inputs[source, 0], place, shift, factor)


def _few(shifts: Slots) -> Slots:
    """(n,): for each row of (n, choices) the column to take, such that few distinct shifts are left.

    Greedily: the shift that serves most rows first, of equals the smallest.
    """
    chosen = np.full(len(shifts), -1)
    while (chosen < 0).any():
        open_rows = np.flatnonzero(chosen < 0)
        left = np.sort(shifts[open_rows], axis=1)
        first = np.ones_like(left, bool)
        first[:, 1:] = left[:, 1:] != left[:, :-1]
        values, counts = np.unique(left[first], return_counts=True)
        order = np.lexsort((values, np.abs(values), -counts))
        best = values[order[0]]
        served = shifts[open_rows] == best
        rows = open_rows[served.any(1)]
        chosen[rows] = served[served.any(1)].argmax(1)
    return chosen
