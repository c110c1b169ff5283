"""Pooling: maxima by eq. (5), two values at a time; sums are views.

Maxima are taken down the columns first, then across: windows that overlap share those of their columns.
The maximum of a line a_0, a_1, ... is the last of its running maxima m_1 = max(a_0, a_1),
m_2 = max(m_1, a_2), ..., each on fresh wires. Padding is left out.

Why a cheating prover fails: (m - a)(m - b) = 0 leaves m = a or m = b, as a field has no zero divisors.
2m - a - b is then a - b or b - a, and it is looked up in [0, width]: so the two are `width` apart at most
and m is no smaller than the other. If m is an integer, so are a and b, and the other way round: a
range of the maximum is passed down to everything it was taken from, at a price of `width` for each step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.layers import AveragePool, MaxPool
from pvcnn.program.windows import Windows
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Larger
from pvcnn.qmp.matrix_program import ZeroProduct
from pvcnn.qmp.views import View, concatenated

Integers = NDArray[np.int64]


def maximum(assembly: Assembly, layer: MaxPool, inputs: View, width: int) -> View:
    """Maxima over windows of (F, C, H, W); inputs differ by at most `width`."""
    rows, columns = _met(layer.windows, inputs)
    seen = np.unique(columns[columns >= 0])
    positions = np.arange(inputs.entries).reshape(inputs.shape)
    upright = inputs.take(positions[..., seen].transpose(0, 1, 3, 2))
    down = _along(assembly, layer.name, upright, rows, width)
    crosswise = down.take(np.arange(down.entries).reshape(down.shape).transpose(0, 1, 3, 2))
    return _along(
        assembly, layer.name, crosswise, np.where(columns < 0, -1, np.searchsorted(seen, columns)), width
    )


def steps(layer: MaxPool) -> int:
    """How often at most an entry is compared: it lies at most steps * width below its window's maximum."""
    return sum(layer.windows.kernel) - 2


def left_over(layer: MaxPool, inputs: View) -> View:
    """The entries of (F, C, H, W), flat, that lie in no window."""
    rows, columns = _met(layer.windows, inputs)
    inside = np.zeros(inputs.shape, bool)
    inside[..., np.unique(rows[rows >= 0])[:, None], np.unique(columns[columns >= 0])] = True
    return inputs.take(np.flatnonzero(~inside))


def total(layer: AveragePool, inputs: View) -> View:
    """Sums over windows of (F, C, H, W): a view."""
    rows, columns = _met(layer.windows, inputs)
    positions = np.arange(inputs.entries).reshape(inputs.shape)
    met = positions[..., rows[:, None, :, None], columns[None, :, None, :]]
    padding = (rows[:, None, :, None] < 0) | (columns[None, :, None, :] < 0)
    met = np.where(padding, -1, met)
    return inputs.take_or_zero(met.reshape(*met.shape[:4], -1)).sum_last()


def _met(windows: Windows, inputs: View) -> tuple[Integers, Integers]:
    """(outputs, kernel) of rows and of columns; -1 for padding."""
    _, _, height, width = inputs.shape
    down, across = windows.outputs(height, width)
    return windows.met(0, down, height), windows.met(1, across, width)


def _along(assembly: Assembly, name: str, inputs: View, met: Integers, width: int) -> View:
    """Along the last axis of (F, C, B, A): for each output the largest of the entries in `met`."""
    outputs, kernel = met.shape
    counts = (met >= 0).sum(axis=1)
    there_first = np.take_along_axis(met, np.argsort(met < 0, axis=1, kind="stable"), axis=1)
    positions = np.arange(inputs.entries).reshape(inputs.shape)
    result = inputs.take(positions[..., there_first[:, 0]])
    for step in range(1, kernel):
        more = np.flatnonzero(counts > step)
        if not len(more):
            break
        places = np.arange(result.entries).reshape(result.shape)
        candidates = inputs.take(positions[..., there_first[more, step]])
        larger = _larger(assembly, name, result.take(places[..., more]), candidates, width)
        places[..., more] = result.entries + np.arange(larger.entries).reshape(larger.shape)
        flat = (result.reshape(result.entries), larger.reshape(larger.entries))
        result = larger if len(more) == outputs else concatenated(flat, 0).take(places)
    return result


def _larger(assembly: Assembly, name: str, left: View, right: View, width: int) -> View:
    wires = assembly.auxiliary(*left.shape)
    assembly.hints.append(Larger(wires.reshape(-1), left, right))
    result = View.of_wires(wires, min(left.low, right.low), max(left.high, right.high))
    above_left, above_right = result.minus(left), result.minus(right)
    assembly.gate(ZeroProduct(name, above_left, above_right))
    assembly.range(f"{name}: differences", above_left.plus(above_right), 0, width)
    return result
