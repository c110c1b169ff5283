"""Convolutions as products of polynomials, `qpp`: as in vCNN (eprint 2020/584), checked at the challenge.

With p' = p + top, q' = q + left, strides Sh, Sw, dilations Dh, Dw and the phase of a row or column its
remainder modulo the stride, inputs and kernels become

    X_(c,phase)(Z) = sum x[f,c,p,q] Z^(T f + R (floor(p'/Sh) - Mh - i0) + floor(q'/Sw) - Mw - j0)
    V_(c,phase)(Z) = sum_(o in the group of c) Z^(L o)
                     sum w[o,c,d,e] Z^(R (Mh - floor(Dh d/Sh)) + Mw - floor(Dw e/Sw))

over the entries of that phase in both directions, that of a kernel entry being the one of Dh d, Dw e;
Mh = floor(Dh (Kh-1)/Sh), Mw likewise. A stride so becomes Sh Sw convolutions with stride 1, whose products
add up:

    sum_(c,phase) X V = sum_o Z^(L o) sum_(f,i,j) Z^(T f + R (i - i0) + j - j0) y[f,o,i,j]

where i and j run over the outputs, for which y is the output less its bias, and over the overhang: places
beyond them, i0 and j0 at least, where windows stick out of the input. R and T leave room for rows and
frames not to overlap, L for output channels. The coefficients in the overhang are nobody's output, but the
product has them, so the prover commits to them: wires of `aux` that `qmp` does without. Padding is zeros,
which cost nothing; the more of it, the smaller the overhang. Entries and kernel entries that meet nothing
are left out.

Why a cheating prover fails: x, w, y and the overhang are committed before rho, the value of Z, is drawn. The
powers on the right differ from each other, and each product on the left has the power of the place that it
belongs to: p' and Dh d leave the same remainder, so floor(p'/Sh) = i + floor(Dh d/Sh). So the difference of
the sides has the errors of outputs and overhang as its coefficients, its degree is below L O, and unless all
errors are 0, fewer than L O of the r values of rho satisfy it. An overhang chosen after rho could balance
any output: hence the commitment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.inference import LayerTrace
from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.convolution_geometry import axes
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.polynomial_layout import PolynomialLayout
from pvcnn.qmp.powers import Powers, new_multiples
from pvcnn.qmp.views import View
from pvcnn.qmp.weighted_sums import grouped_sums, weighted_terms

Integers = NDArray[np.int64]

GADGET = "polynomial product"


def highest_power(gate: ConvolutionProduct) -> int:
    """The highest power of rho that `lower` needs as a wire before it makes others from it: L."""
    return PolynomialLayout.of(gate).channel_pitch


def rows(gate: ConvolutionProduct) -> int:
    """How many constraints `lower` makes, those of powers above L included."""
    layout, outputs = PolynomialLayout.of(gate), gate.result.shape[1]
    of_result = np.concatenate([layout.output_exponents, layout.overhang_exponents])
    kernels = layout.kernel_exponents
    weighted = int(
        np.count_nonzero(layout.input_exponents)
        + outputs * len(kernels)
        - np.count_nonzero(kernels == 0)
        + outputs * np.count_nonzero(of_result)
    )
    powers = new_multiples(layout.channel_pitch, outputs, layout.channel_pitch)
    powers += (outputs - 1) * int(np.count_nonzero(np.unique(kernels)))
    return weighted + 3 * layout.polynomials + 2 * outputs + 1 + powers


def lower(builder: ConstraintBuilder, gate: ConvolutionProduct, overhang: View, powers: Powers) -> None:
    """`rows(gate)` constraints. overhang: wires as `Overhang` fills them."""
    name, layout, outputs = gate.name, PolynomialLayout.of(gate), gate.result.shape[1]
    inputs = grouped_sums(
        builder,
        GADGET,
        f"{name}: inputs at rho",
        gate.inputs.take(layout.inputs),
        powers.at(layout.input_exponents),
        layout.input_polynomials,
        layout.polynomials,
    )
    of_channel = powers.multiples(layout.channel_pitch, outputs)
    channels = layout.channel_pitch * np.arange(outputs)
    distinct, which = np.unique(layout.kernel_exponents, return_inverse=True)
    taps = gate.kernels.entries // outputs
    group = np.arange(outputs) // (outputs // gate.groups)
    kernels = grouped_sums(
        builder,
        GADGET,
        f"{name}: kernels at rho",
        gate.kernels.take((taps * np.arange(outputs)[:, None] + layout.kernels).reshape(-1)),
        powers.sums(channels, distinct)[:, which].reshape(-1),
        (layout.group_polynomials * group[:, None] + layout.kernel_polynomials).reshape(-1),
        layout.polynomials,
    )
    products = builder.products(GADGET, f"{name}: inputs times kernels", inputs, kernels)
    terms = Combinations.zero(outputs)
    order = np.arange(gate.result.entries).reshape(gate.result.shape).transpose(1, 0, 2, 3)
    for what, view, exponents in (
        ("outputs at rho", gate.result.take(order.reshape(-1)), layout.output_exponents),
        ("overhang at rho", overhang, layout.overhang_exponents),
    ):
        of_output = np.repeat(np.arange(outputs), len(exponents))
        wires = np.tile(powers.at(exponents), outputs)
        terms = terms + weighted_terms(builder, GADGET, f"{name}: {what}", view, wires, of_output, outputs)
    sums = Combinations.of_wires(builder.sums(GADGET, f"{name}: outputs at rho, summed", terms))
    result = builder.products(GADGET, f"{name}: channels", sums, Combinations.of_wires(of_channel))
    left, right = (Combinations.of_wires(wires).total() for wires in (products, result))
    one = Combinations.of_constants(np.ones(1, np.int64))
    builder.constrain(GADGET, f"{name}: both sides agree", left - right, one, Combinations.zero(1))


@dataclass(frozen=True, eq=False)
class Overhang:
    """The hint that fills the overhang of a gate, (O, F, places)."""

    wires: Integers
    gate: ConvolutionProduct

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        inputs, kernels = self.gate.inputs.evaluate(stage_one), self.gate.kernels.evaluate(stage_one)
        rows, columns = axes(self.gate)
        layout = PolynomialLayout.of(self.gate)
        outputs, frames, groups = len(kernels), len(inputs), self.gate.groups
        full = np.zeros((outputs, frames, len(layout.rows), len(layout.columns)), np.int64)
        # Axes: g, c within the group, f or o within the group, and the rest.
        inputs = inputs.reshape(frames, groups, -1, *inputs.shape[2:]).transpose(1, 2, 0, 3, 4)
        kernels = kernels.reshape(groups, outputs // groups, *kernels.shape[1:])
        for d in rows.used_taps:
            p, i = rows.reach(int(d))
            for e in columns.used_taps:
                q, j = columns.reach(int(e))
                met = inputs[:, :, :, p[:, None], q]
                row, column = np.searchsorted(layout.rows, i), np.searchsorted(layout.columns, j)
                made = np.einsum("gcfpq,goc->gofpq", met, kernels[..., d, e])
                full[:, :, row[:, None], column] += made.reshape(outputs, *made.shape[2:])
        return full[:, :, layout.sticks_out].reshape(-1)
