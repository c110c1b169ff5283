"""Products as a quadratic arithmetic program has them, `qap`: a constraint for every product of two scalars.

    p_t = a_t b_t,   sum of all p_t that belong to an entry = that entry of the result

for each entry of A B, or of a convolution, and each of its summands; a product of padding has none. The
last product of every sum has no wire: its row is a b = entry - (the other products). So an (n, k) times a
(k, m) matrix takes n k m constraints, and a convolution as many as it has products.

Why a cheating prover fails: these are identities in the field itself, with no challenge. It is what the
other lowerings are compared with, and the cheapest one where a matrix meets a single vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.convolution_geometry import axes, meetings
from pvcnn.qmp.matrix_program import ConvolutionProduct, MatrixProduct
from pvcnn.qmp.views import View

Integers = NDArray[np.int64]

GADGET = "products of scalars"


@dataclass(frozen=True, eq=False)
class Summands:
    """result[output] = sum of left[left] right[right]: flat positions, sorted by `output`."""

    left: Integers
    right: Integers
    output: Integers


def rows(gate: MatrixProduct | ConvolutionProduct) -> int:
    """How many constraints `lower` makes."""
    match gate:
        case MatrixProduct():
            return gate.left.entries * gate.result.shape[1]
        case ConvolutionProduct():
            frames, outputs = gate.result.shape[:2]
            met = [(axis.met >= 0).any(axis=1) for axis in axes(gate)]
            empty = met[0].size * met[1].size - int(met[0].sum() * met[1].sum())
            vertical, horizontal = (axis.pairs for axis in axes(gate))
            return frames * outputs * (gate.kernels.shape[1] * vertical * horizontal + empty)


def lower(builder: ConstraintBuilder, gate: MatrixProduct | ConvolutionProduct) -> None:
    """`rows(gate)` constraints."""
    match gate:
        case MatrixProduct():
            left, right, summands = gate.left, gate.right, _of_matrices(gate)
        case ConvolutionProduct():
            left, right, summands = gate.inputs, gate.kernels, _of_convolution(gate)
    if right.entries > left.entries:  # what stands on the right of a product costs a sum in G2 too
        left, right, summands = right, left, Summands(summands.right, summands.left, summands.output)
    _lower(builder, gate.name, (left, right, gate.result), summands)


def _lower(
    builder: ConstraintBuilder, name: str, operands: tuple[View, View, View], summands: Summands
) -> None:
    left, right, result = operands
    last = np.ones(len(summands.output), np.bool_)
    last[:-1] = summands.output[1:] != summands.output[:-1]
    others = ~last
    products = builder.products(
        GADGET,
        f"{name}: products",
        Combinations.of_view(left.take(summands.left[others])),
        Combinations.of_view(right.take(summands.right[others])),
    )
    ends = summands.output[last]
    earlier = Combinations.of_wires(products).grouped(
        np.searchsorted(ends, summands.output[others]), len(ends)
    )
    builder.constrain(
        GADGET,
        f"{name}: both sides agree",
        Combinations.of_view(left.take(summands.left[last])),
        Combinations.of_view(right.take(summands.right[last])),
        Combinations.of_view(result.take(ends)) - earlier,
    )
    empty = np.setdiff1d(np.arange(result.entries), ends, assume_unique=True)
    nothing = Combinations.zero(len(empty))
    builder.constrain(
        GADGET, f"{name}: sums of nothing", nothing, nothing, Combinations.of_view(result.take(empty))
    )


def _of_matrices(gate: MatrixProduct) -> Summands:
    (height, length), width = gate.left.shape, gate.right.shape[1]
    i, j, k = (axis.reshape(-1) for axis in np.indices((height, width, length), np.int64))
    return Summands(i * length + k, k * width + j, i * width + j)


def _of_convolution(gate: ConvolutionProduct) -> Summands:
    _, outputs, height, width = gate.result.shape
    channels, taps = gate.kernels.shape[1], gate.kernels.entries // outputs
    met = meetings(gate, channels)  # the first group's; the others' are as far apart as their channels
    frame, place = np.divmod(met.position, height * width)
    o = np.arange(outputs)[:, None]
    first_channel = o // (outputs // gate.groups) * channels
    output = ((frame * outputs + o) * (height * width) + place).reshape(-1)
    order = np.argsort(output, kind="stable")
    left = (met.entry + first_channel * prod(gate.inputs.shape[2:])).reshape(-1)
    return Summands(left[order], (o * taps + met.tap).reshape(-1)[order], output[order])
