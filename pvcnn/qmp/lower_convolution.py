"""Convolutions as constraints: eq. (2), without a copy of the input for each kernel position.

    t[f,c,p,q] = rho^(f Ho Wo + Wo floor(p'/Sh) + floor(q'/Sw)) x[f,c,p,q],   p' = p + top, q' = q + left
    a[c,d,e]   = sum_{f,i,j} t[f, c, Sh i + Dh d - top, Sw j + Dw e - left]
    b[c,d,e]   = sum_{o in the group of c} rho^(n o) w[o,c,d,e]
    sum_{d,e} rho^(D - Wo floor(Dh d/Sh) - floor(Dw e/Sw)) sum_c a b
        = rho^D sum_{f,o,i,j} rho^(n o + f Ho Wo + Wo i + j) (y[f,o,i,j] - bias[o])

with strides Sh, Sw, dilations Dh, Dw, n = F Ho Wo and D = Wo floor(Dh (Kh-1)/Sh) + floor(Dw (Kw-1)/Sw).

Why a cheating prover fails: x, w, y and bias are committed before rho is drawn. A product a b is that of
every window of channel c with every weight that its group has for it at (d, e): just those that
the convolution multiplies, since c, d and e say which weight meets which entry of a window. As
floor(p'/Sh) = i + floor(Dh d/Sh) for p' = Sh i + Dh d, each carries exactly rho^D times the power of the
output it belongs to. So the difference of the sides is a polynomial in rho of degree below D + n O whose
coefficients are the errors of the outputs; unless all are 0, fewer than D + n O of the r values of rho
satisfy it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.windows import Windows
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.convolution_geometry import axes
from pvcnn.qmp.kernels_by_channel import kernel_rows, kernels_by_channel
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.powers import Powers, new_multiples
from pvcnn.qmp.weighted_sums import constraints, weighted_sums

Integers = NDArray[np.int64]

GADGET = "convolution"


def highest_power(gate: ConvolutionProduct) -> int:
    """The highest power of rho that `lower` needs as a wire."""
    return max(_outputs_per_channel(gate), _margin(gate), int(_input_exponents(gate).max()))


def rows(gate: ConvolutionProduct) -> int:
    """How many constraints `lower` makes, those of the powers rho^(n o) included."""
    frames, channels = gate.inputs.shape[:2]
    outputs, taps, places = gate.kernels.shape[0], channels * gate.windows.size, _outputs_per_channel(gate)
    vertical, horizontal = axes(gate)
    inputs = frames * channels * len(vertical.used) * len(horizontal.used)
    alignments = len(np.unique(_alignments(gate)))
    sums = constraints(outputs, places, outputs)
    multiples = new_multiples(places, outputs, highest_power(gate))
    return inputs + taps + kernel_rows(gate) + taps + alignments + sums + outputs + 1 + multiples


def lower(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> None:
    """About |x| + |w| + |y| + 3 C Kh Kw constraints."""
    name, outputs = gate.name, gate.kernels.shape[0]
    windows = _window_sums(builder, gate, powers)
    of_channel = powers.multiples(_outputs_per_channel(gate), outputs)
    filters = kernels_by_channel(builder, GADGET, f"{name}: kernels", gate, of_channel)
    products = builder.products(GADGET, f"{name}: windows times kernels", windows, filters)
    left = _aligned(builder, gate, powers, products)
    order = np.arange(gate.result.entries).reshape(gate.result.shape).transpose(1, 0, 2, 3)
    entries = gate.result.take(order.reshape(outputs, -1))
    of_position = powers.multiples(1, _outputs_per_channel(gate))
    channels = weighted_sums(builder, GADGET, f"{name}: outputs", entries, of_position)
    result = builder.products(GADGET, f"{name}: channels", channels, Combinations.of_wires(of_channel))
    margin = Combinations.of_wires(powers.at(np.array([_margin(gate)])))
    total = Combinations.of_wires(result).total()
    builder.constrain(GADGET, f"{name}: both sides agree", total, margin, left)


def _window_sums(builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers) -> Combinations:
    """a[c,d,e], in this order: sums of t over the input entries that kernel position (d, e) meets."""
    frames, channels, height, width = gate.inputs.shape
    _, _, out_height, out_width = gate.result.shape
    kernel = gate.windows.kernel
    rows = gate.windows.met(0, out_height, height)
    columns = gate.windows.met(1, out_width, width)
    # Axes: c, d, e, f, i, j.
    inside = np.broadcast_to(
        (rows >= 0).T[None, :, None, None, :, None] & (columns >= 0).T[None, None, :, None, None, :],
        (channels, *kernel, frames, out_height, out_width),
    )
    c, d, e, f, i, j = np.nonzero(inside)
    met = ((f * channels + c) * height + rows[i, d]) * width + columns[j, e]
    used, position = np.unique(met, return_inverse=True)
    exponents = np.broadcast_to(_input_exponents(gate), gate.inputs.shape).reshape(-1)
    scaled = builder.products(
        GADGET,
        f"{gate.name}: inputs times powers",
        Combinations.of_view(gate.inputs.take(used)),
        Combinations.of_wires(powers.at(exponents[used])),
    )
    window = (c * kernel[0] + d) * kernel[1] + e
    sums = Combinations.of_wires(scaled[position]).grouped(window, channels * gate.windows.size)
    return Combinations.of_wires(builder.sums(GADGET, f"{gate.name}: windows", sums))


def _aligned(
    builder: ConstraintBuilder, gate: ConvolutionProduct, powers: Powers, products: Integers
) -> Combinations:
    """The left side: a b summed over channels, then each kernel position brought to its power."""
    distinct, group = np.unique(_alignments(gate), return_inverse=True)
    sums = Combinations.of_wires(products).grouped(np.tile(group, gate.inputs.shape[1]), len(distinct))
    aligned = builder.products(
        GADGET, f"{gate.name}: kernel positions", sums, Combinations.of_wires(powers.at(distinct))
    )
    return Combinations.of_wires(aligned).total()


def _alignments(gate: ConvolutionProduct) -> Integers:
    """(Kh Kw,): the power of rho that brings each kernel position to rho^D."""
    down, across = (_offsets(gate.windows, axis) for axis in (0, 1))
    exponents: Integers = _margin(gate) - (gate.result.shape[3] * down[:, None] + across).reshape(-1)
    return exponents


def _offsets(windows: Windows, axis: int) -> Integers:
    """floor(Dh d/Sh) for each d, or the same of columns."""
    offsets: Integers = windows.dilation[axis] * np.arange(windows.kernel[axis]) // windows.stride[axis]
    return offsets


def _input_exponents(gate: ConvolutionProduct) -> Integers:
    """(F, 1, H, W): the power of rho that each input entry carries in t."""
    frames, _, height, width = gate.inputs.shape
    _, _, out_height, out_width = gate.result.shape
    top, _, left, _ = gate.windows.padding
    rows = (np.arange(height) + top) // gate.windows.stride[0]
    columns = (np.arange(width) + left) // gate.windows.stride[1]
    position = out_width * rows[:, None] + columns
    frame = out_height * out_width * np.arange(frames)
    exponents: Integers = frame[:, None, None, None] + position
    return exponents


def _outputs_per_channel(gate: ConvolutionProduct) -> int:
    """n = F Ho Wo."""
    frames, _, height, width = gate.result.shape
    return frames * height * width


def _margin(gate: ConvolutionProduct) -> int:
    """D = Wo floor(Dh (Kh-1)/Sh) + floor(Dw (Kw-1)/Sw)."""
    down, across = (int(_offsets(gate.windows, axis)[-1]) for axis in (0, 1))
    return gate.result.shape[3] * down + across
