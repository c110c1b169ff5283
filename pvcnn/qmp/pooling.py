"""Pooling: eq. (5) for maxima; sums are views.

Why a cheating prover fails: m - a_i is looked up in [0, high - low] for every i, so m is an integer
no smaller than any a_i; the product of the differences vanishes only if one of them does, so m is
one of the a_i.
"""

from __future__ import annotations

import numpy as np

from pvcnn.program.layers import AveragePool, MaxPool
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Traced
from pvcnn.qmp.matrix_program import ZeroProduct
from pvcnn.qmp.views import View, windows


def maximum(assembly: Assembly, index: int, layer: MaxPool, inputs: View) -> View:
    """Maxima over disjoint windows, (F, C, H // size, W // size), on fresh wires."""
    if layer.size == 1:
        return inputs
    candidates = windows(inputs, layer.size)
    *shape, size = candidates.shape
    result = assembly.traced(index, Traced.OUTPUT, tuple(shape[1:]), inputs.low, inputs.high)
    repeated = np.repeat(np.arange(result.entries), size).reshape(candidates.shape)
    differences = result.take(repeated).minus(candidates)
    width = inputs.high - inputs.low
    assembly.range(f"{layer.name}: differences", differences, 0, width)
    assembly.gate(ZeroProduct(layer.name, differences.reshape(result.entries, size)))
    return result


def total(layer: AveragePool, inputs: View) -> View:
    """Sums over disjoint windows, (F, C, H // size, W // size): a view."""
    return windows(inputs, layer.size).sum_last()
