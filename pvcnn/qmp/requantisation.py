"""Requantisation and activation: eq. (3) with one table for everything that follows the shift.

Why a cheating prover fails: rem is looked up in [0, 2^s) and q lies in the table's domain, so both are
integers, and an integer y has exactly one such pair (q, rem) with y = 2^s q + rem - 2^(s-1). The table
maps each q to one act; the pair is packed with the challenge chi, drawn after both are committed, so
that no error in act can be compensated in q.
"""

from __future__ import annotations

import numpy as np

from pvcnn.program.layers import Requantise, Shape
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Traced
from pvcnn.qmp.views import View


def quotient(assembly: Assembly, index: int, layer: Requantise, shape: Shape) -> View:
    """Fresh wires q (frames, *shape), in the domain of the layer's table."""
    return assembly.traced(index, Traced.QUOTIENT, shape, layer.table.low, layer.table.high)


def decomposed(assembly: Assembly, index: int, layer: Requantise, q: View) -> View:
    """The view y = 2^s q + rem - 2^(s-1) on fresh wires rem; y = q if s = 0."""
    if layer.shift == 0:
        return q
    high = (1 << layer.shift) - 1
    remainder = assembly.traced(index, Traced.REMAINDER, q.shape[1:], 0, high)
    assembly.range(f"{layer.name}: remainders", remainder, 0, high)
    return q.scaled(1 << layer.shift).plus(remainder).shifted(-(1 << (layer.shift - 1)))


def constrain_remainder(assembly: Assembly, layer: Requantise, y: View, q: View) -> None:
    """For a y that exists already: rem = y + 2^(s-1) - 2^s q is a view, looked up in [0, 2^s)."""
    remainder = y.shifted(1 << (layer.shift - 1)).minus(q.scaled(1 << layer.shift))
    assembly.range(f"{layer.name}: remainders", remainder, 0, (1 << layer.shift) - 1)


def activation(assembly: Assembly, index: int, layer: Requantise, q: View) -> View:
    """Fresh wires act, with (q, act) looked up in the layer's table."""
    low, high = int(layer.table.values.min()), int(layer.table.values.max())
    act = assembly.traced(index, Traced.OUTPUT, q.shape[1:], low, high)
    domain = layer.table.low + np.arange(len(layer.table.values), dtype=np.int64)
    assembly.lookup(f"{layer.name}: activations", (domain, layer.table.values), q, act)
    return act
