"""Kernels summed over the output channels that use them: what eq. (2) and `im2col` have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.builder import ConstraintBuilder
from pvcnn.qmp.combinations import Combinations
from pvcnn.qmp.matrix_program import ConvolutionProduct
from pvcnn.qmp.weighted_sums import constraints, weighted_sums


def kernels_by_channel(
    builder: ConstraintBuilder,
    gadget: str,
    purpose: str,
    gate: ConvolutionProduct,
    of_channel: NDArray[np.int64],
) -> Combinations:
    """b[c,d,e], in this order: the sum of power_o w[o,c,d,e] over the outputs o in the group of c.

    of_channel: (O,), the wires of power_o, the first of them 1. Costs `kernel_rows(gate)`.
    """
    outputs, groups = gate.kernels.shape[0], gate.groups
    # Rows: every (c, d, e), group by group; columns: the output channels of the group.
    grouped = np.arange(gate.kernels.entries).reshape(groups, outputs // groups, -1)
    kernels = gate.kernels.take(grouped.transpose(0, 2, 1).reshape(-1, outputs // groups))
    of_group = np.repeat(of_channel.reshape(groups, -1), grouped.shape[2], axis=0)
    return weighted_sums(builder, gadget, purpose, kernels, of_group)


def kernel_rows(gate: ConvolutionProduct) -> int:
    """How many constraints `kernels_by_channel` makes."""
    entries, outputs = gate.kernels.entries, gate.kernels.shape[0]
    in_group = outputs // gate.groups
    return constraints(entries // in_group, in_group, entries // outputs)
