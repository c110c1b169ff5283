"""Convolutions as constraints: eq. (2), without a copy of the input for each kernel position.

    t[f,c,p,q] = rho^(f Ho Wo + Wo floor(p'/S) + floor(q'/S)) x[f,c,p,q],   p' = p + P, q' = q + P
    a[c,d,e]   = sum_{f,i,j} t[f, c, S i + d - P, S j + e - P]
    b[c,d,e]   = sum_o rho^(n o) w[o,c,d,e]
    sum_{d,e} rho^(D - Wo floor(d/S) - floor(e/S)) sum_c a b
        = rho^D sum_{f,o,i,j} rho^(n o + f Ho Wo + Wo i + j) (y[f,o,i,j] - bias[o])

with n = F Ho Wo and D = (Wo + 1) floor((K-1)/S).

Why a cheating prover fails: x, w, y and bias are committed before rho is drawn. Since
floor(p'/S) = i + floor(d/S) for p' = S i + d, every product x w on the left carries exactly rho^D times
the power of the output it belongs to. So the difference of the sides is a polynomial in rho of degree
below D + n O whose coefficients are the errors of the outputs; unless all are 0, fewer than D + n O of
the r values of rho satisfy it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.convolution_geometry import axes
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.powers import Powers, new_multiples
from pvcnn.qmp.weighted_sums import weighted_sums

Integers = NDArray[np.int64]

GADGET = "convolution"


def highest_power(gate: ConvolutionProduct) -> int:
    """The highest power of rho that `lower` needs as a wire."""
    return max(_outputs_per_channel(gate), _margin(gate), int(_input_exponents(gate).max()))


def rows(gate: ConvolutionProduct) -> int:
    """How many constraints `lower` makes, those of the powers rho^(n o) included."""
    frames, channels = gate.inputs.shape[:2]
    outputs, _, kernel, _ = gate.kernels.shape
    vertical, horizontal = axes(gate)
    offsets = np.arange(kernel) // gate.stride
    alignments = len(np.unique(gate.result.shape[3] * offsets[:, None] + offsets))
    taps, places = channels * kernel**2, _outputs_per_channel(gate)
    kernels = outputs * taps if outputs > 1 else 0
    sums = outputs * places if places > 1 else 0
    multiples = new_multiples(places, outputs, highest_power(gate))
    inputs = frames * channels * len(vertical.used()) * len(horizontal.used())
    return inputs + taps + kernels + taps + alignments + sums + outputs + 1 + multiples


def lower(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> None:
    """About |x| + |w| + |y| + 3 C K^2 constraints."""
    name, shape = gate.name, gate.kernels.shape
    windows = _window_sums(builder, gate, powers)
    kernels = gate.kernels.take(np.arange(gate.kernels.entries).reshape(shape[0], -1).T)
    of_channel = powers.multiples(_outputs_per_channel(gate), shape[0])
    filters = weighted_sums(builder, GADGET, f"{name}: kernels", kernels, of_channel)
    products = builder.products(GADGET, f"{name}: windows times kernels", windows, filters)
    left = _aligned(builder, gate, powers, products)
    order = np.arange(gate.result.entries).reshape(gate.result.shape).transpose(1, 0, 2, 3)
    outputs = gate.result.take(order.reshape(shape[0], -1))
    of_position = powers.multiples(1, _outputs_per_channel(gate))
    channels = weighted_sums(builder, GADGET, f"{name}: outputs", outputs, of_position)
    result = builder.products(GADGET, f"{name}: channels", channels, Combinations.of_wires(of_channel))
    margin = Combinations.of_wires(powers.at(np.array([_margin(gate)])))
    total = Combinations.of_wires(result).total()
    builder.constrain(GADGET, f"{name}: both sides agree", total, margin, left)


def _window_sums(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> Combinations:
    """a[c,d,e], in this order: sums of t over the input entries that kernel position (d, e) meets."""
    frames, channels, height, width = gate.inputs.shape
    _, _, out_height, out_width = gate.result.shape
    kernel = gate.kernels.shape[2]
    rows, row_is_inside = _met(kernel, out_height, gate, height)
    columns, column_is_inside = _met(kernel, out_width, gate, width)
    # Axes: c, d, e, f, i, j.
    inside = np.broadcast_to(
        row_is_inside[None, :, None, None, :, None] & column_is_inside[None, None, :, None, None, :],
        (channels, kernel, kernel, frames, out_height, out_width),
    )
    c, d, e, f, i, j = np.nonzero(inside)
    met = ((f * channels + c) * height + rows[d, i]) * width + columns[e, j]
    used, position = np.unique(met, return_inverse=True)
    exponents = np.broadcast_to(_input_exponents(gate), gate.inputs.shape).reshape(-1)
    scaled = builder.products(
        GADGET,
        f"{gate.name}: inputs times powers",
        Combinations.of_view(gate.inputs.take(used)),
        Combinations.of_wires(powers.at(exponents[used])),
    )
    window = (c * kernel + d) * kernel + e
    sums = Combinations.of_wires(scaled[position]).grouped(window, channels * kernel**2)
    return Combinations.of_wires(builder.sums(GADGET, f"{gate.name}: windows", sums))


def _aligned(
    builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers, products: Integers
) -> Combinations:
    """The left side: a b summed over channels, then each kernel position brought to its power."""
    channels, kernel = gate.kernels.shape[1:3]
    stride, out_width = gate.stride, gate.result.shape[3]
    offsets = np.arange(kernel) // stride
    exponents = _margin(gate) - (out_width * offsets[:, None] + offsets).reshape(-1)
    distinct, group = np.unique(exponents, return_inverse=True)
    sums = Combinations.of_wires(products).grouped(np.tile(group, channels), len(distinct))
    aligned = builder.products(
        GADGET, f"{gate.name}: kernel positions", sums, Combinations.of_wires(powers.at(distinct))
    )
    return Combinations.of_wires(aligned).total()


def _met(
    kernel: int, outputs: int, gate: ConvolutionProduct, side: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """(kernel, outputs): the input row (or column) S i + d - P, and whether it is inside the input."""
    met = gate.stride * np.arange(outputs) + np.arange(kernel)[:, None] - gate.padding
    return met, (met >= 0) & (met < side)


def _input_exponents(gate: ConvolutionProduct) -> Integers:
    """(F, 1, H, W): the power of rho that each input entry carries in t."""
    frames, _, height, width = gate.inputs.shape
    _, _, out_height, out_width = gate.result.shape
    rows = (np.arange(height) + gate.padding) // gate.stride
    columns = (np.arange(width) + gate.padding) // gate.stride
    position = out_width * rows[:, None] + columns
    frame = out_height * out_width * np.arange(frames)
    exponents: Integers = frame[:, None, None, None] + position
    return exponents


def _outputs_per_channel(gate: ConvolutionProduct) -> int:
    """n = F Ho Wo."""
    frames, _, height, width = gate.result.shape
    return frames * height * width


def _margin(gate: ConvolutionProduct) -> int:
    """D = (Wo + 1) floor((K-1)/S)."""
    return (gate.result.shape[3] + 1) * ((gate.kernels.shape[2] - 1) // gate.stride)
