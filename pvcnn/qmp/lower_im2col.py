"""Convolutions as matrix products of copied windows, `im2col`: what eq. (2) does without.

    A[(f,i,j), (c,d,e)] = x[f, c, S i + d - P, S j + e - P],   B[(c,d,e), o] = w[o,c,d,e]

and eq. (1) for A B = C with C[(f,i,j), o] = y[f,o,i,j] - bias[o]. The copies are a view and cost nothing,
but every one of them is multiplied by a power of its own: about F Ho Wo C K^2 + |w| + |y| constraints, or
K^2 / S^2 times |x| for the input. Padding has no copies.

Why a cheating prover fails: as for every matrix product, see `lower_matmul`.
"""

from __future__ import annotations

import numpy as np

from pvcnn.qmp import lower_matmul
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.convolution_geometry import axes, meetings
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.powers import Powers
from pvcnn.qmp.weighted_sums import grouped_sums


def highest_power(gate: ConvolutionProduct) -> int:
    """The highest power of rho that `lower` needs as a wire before it makes multiples."""
    frames, _, height, width = gate.result.shape
    return frames * height * width


def rows(gate: ConvolutionProduct) -> int:
    """How many constraints `lower` makes, those of the powers rho^(n o) included."""
    frames, outputs = gate.result.shape[:2]
    channels, taps = gate.inputs.shape[1], gate.kernels.entries // gate.kernels.shape[0]
    vertical, horizontal = axes(gate)
    copies = frames * channels * vertical.pairs * horizontal.pairs
    of_first = channels * int(vertical.met()[1][0].sum() * horizontal.met()[1][0].sum())
    height = highest_power(gate)
    return copies - of_first + taps + lower_matmul.rows_after_left(taps, height, outputs, height)


def lower(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> None:
    """`rows(gate)` constraints."""
    outputs = gate.result.shape[1]
    taps = gate.kernels.entries // outputs
    met = meetings(gate)
    copies = gate.inputs.take(met.entry)
    of_position = powers.at(met.position)
    left = grouped_sums(
        builder, lower_matmul.GADGET, f"{gate.name}: u^T A", copies, of_position, met.tap, taps
    )
    kernels = gate.kernels.take(np.arange(gate.kernels.entries).reshape(outputs, taps).T)
    order = np.arange(gate.result.entries).reshape(gate.result.shape).transpose(0, 2, 3, 1)
    result = gate.result.take(order.reshape(-1, outputs))
    lower_matmul.compare(builder, gate.name, left, kernels, result, powers)
