"""Pooling: maxima by eq. (5), two values at a time; sums are views.

The maximum of a window is the last of its running maxima m_1 = max(a_0, a_1), m_2 = max(m_1, a_2), ...,
each on fresh wires.

Why a cheating prover fails: (m - a)(m - b) = 0 leaves m = a or m = b, as a field has no zero divisors.
2m - a - b is then a - b or b - a, and it is looked up in [0, width]: so the two are `width` apart at most
and m is no smaller than the other. If m is an integer, so are a and b, and the other way round: a
range of the maximum is passed down to everything it was taken from, at a price of `width` for each step.
"""

from __future__ import annotations

from pvcnn.program.layers import AveragePool, MaxPool
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Larger
from pvcnn.qmp.matrix_program import ZeroProduct
from pvcnn.qmp.views import View, windows


def maximum(assembly: Assembly, layer: MaxPool, inputs: View, width: int) -> View:
    """Maxima over disjoint windows, (F, C, H // size, W // size); inputs differ by at most `width`."""
    candidates = windows(inputs, layer.size)
    result = candidates[:, :, :, :, 0]
    for place in range(1, candidates.shape[-1]):
        result = _larger(assembly, layer.name, result, candidates[:, :, :, :, place], width)
    return result


def steps(layer: MaxPool) -> int:
    """How often `maximum` compares: what is pooled lies at most steps * width below its maximum."""
    return layer.size**2 - 1


def total(layer: AveragePool, inputs: View) -> View:
    """Sums over disjoint windows, (F, C, H // size, W // size): a view."""
    return windows(inputs, layer.size).sum_last()


def _larger(assembly: Assembly, name: str, left: View, right: View, width: int) -> View:
    wires = assembly.auxiliary(*left.shape)
    assembly.hints.append(Larger(wires.reshape(-1), left, right))
    result = View.of_wires(wires, min(left.low, right.low), max(left.high, right.high))
    above_left, above_right = result.minus(left), result.minus(right)
    assembly.gate(ZeroProduct(name, above_left, above_right))
    assembly.range(f"{name}: differences", above_left.plus(above_right), 0, width)
    return result
