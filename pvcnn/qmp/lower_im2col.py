"""Convolutions as matrix products of copied windows, `im2col`: what eq. (2) does without.

    A[(f,i,j), (c,d,e)] = x[f, c, Sh i + Dh d - top, Sw j + Dw e - left],   B[(c,d,e), o] = w[o,c,d,e]

and eq. (1) for A B = C with C[(f,i,j), o] = y[f,o,i,j] - bias[o]. B[(c,d,e), o] is 0 where channel c belongs
to another group than output o, and such entries are left out. The copies are a view and cost nothing, but
every one of them is multiplied by a power of its own: about F Ho Wo C Kh Kw + |w| + |y| constraints, or
Kh Kw / (Sh Sw) times |x| for the input. Padding has no copies.

Why a cheating prover fails: as for every matrix product, see `lower_matmul`.
"""

from __future__ import annotations

import numpy as np

from pvcnn.qmp import lower_matmul
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.convolution_geometry import axes, meetings
from pvcnn.qmp.kernels_by_channel import kernel_rows, kernels_by_channel
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
    channels, taps = gate.inputs.shape[1], gate.inputs.shape[1] * gate.windows.size
    vertical, horizontal = axes(gate)
    copies = frames * channels * vertical.pairs * horizontal.pairs
    of_first = channels * int((vertical.met[0] >= 0).sum() * (horizontal.met[0] >= 0).sum())
    height = highest_power(gate)
    factors = copies - of_first + taps + kernel_rows(gate)
    return factors + lower_matmul.rows_of_comparison(taps, height, outputs, height)


def lower(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> None:
    """`rows(gate)` constraints."""
    name, gadget, outputs = gate.name, lower_matmul.GADGET, gate.result.shape[1]
    channels = gate.inputs.shape[1]
    met = meetings(gate, channels)
    copies, of_position = gate.inputs.take(met.entry), powers.at(met.position)
    taps = channels * gate.windows.size
    left = grouped_sums(builder, gadget, f"{name}: u^T A", copies, of_position, met.tap, taps)
    of_channel = powers.multiples(highest_power(gate), outputs)
    right = kernels_by_channel(builder, gadget, f"{name}: B v", gate, of_channel)
    order = np.arange(gate.result.entries).reshape(gate.result.shape).transpose(0, 2, 3, 1)
    result = gate.result.take(order.reshape(-1, outputs))
    lower_matmul.compare(builder, name, left, right, result, powers)
