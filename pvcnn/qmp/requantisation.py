"""Requantisation and activation: eq. (3) with one table for everything that follows the shift.

Max pooling behind a nondecreasing table commutes with it, so quotients are pooled first and only the
largest of each window is looked up with its activation.

Why a cheating prover fails:

1. q is an integer, and far below r. Looked up with its activation, it lies in the table's domain
   [low, high]. Where quotients are pooled, their maximum is looked up; what it was taken from is then
   an integer in [low - steps (high - low), high], by pooling's argument. Entries that pooling drops
   are looked up alone.
2. y is an integer: a sum of products of integers, which the layer before has proved, pooled integers, or a
   linear function of integers with integer coefficients, which published weights are.
3. So 2^s q + rem - 2^(s-1) = y makes rem an integer, and its lookup puts it in [0, 2^s). As all of
   this is far below r, the equation holds between integers, and an integer y has exactly one such
   pair (q, rem). That q is in no way the prover's choice; neither is the maximum of a window.
4. The table maps each q to one act; the pair is packed with the challenge chi, drawn after both are
   committed, so that no error in act can be compensated in q.

Point 1 needs no remainder, and so point 3 may look up a multiple of rem (see pvcnn.qmp.ranges).

A quotient that is not the largest of its window may lie below the table's domain. The inference, and
with it the honest prover, refuses it; the proof says what the result would be with a table that goes on
below its domain, which is the same whatever it goes on with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pvcnn.program.layers import MaxPool, Requantise, Shape
from pvcnn.program.program import Program
from pvcnn.qmp import pooling
from pvcnn.qmp.assembly import Assembly
from pvcnn.qmp.hints import Traced
from pvcnn.qmp.views import View


def pools_to_move(program: Program, index: int) -> tuple[int, ...]:
    """The nodes of the max pools right behind the Requantise node `index` that commute with its table.

    All or none; and none behind a value that more than one node takes.
    """
    layer = program.layers[index]
    pools: list[int] = []
    if isinstance(layer, Requantise) and bool((np.diff(layer.table.values) >= 0).all()):
        following = program.sole_consumer(index)
        while following is not None and isinstance(program.layers[following], MaxPool):
            pools.append(following)
            following = program.sole_consumer(following)
    return tuple(pools)


def quotient(
    assembly: Assembly, index: int, layer: Requantise, shape: Shape, pools: Sequence[MaxPool]
) -> View:
    """Fresh wires q (frames, *shape), with the bounds that pooling them and a lookup give."""
    below = sum(map(pooling.steps, pools)) * _width(layer)
    return assembly.traced(index, Traced.QUOTIENT, shape, layer.table.low - below, layer.table.high)


def decomposed(assembly: Assembly, index: int, layer: Requantise, q: View) -> View:
    """The view y = 2^s q + rem - 2^(s-1) on fresh wires rem; y = q if s = 0. A gate must fix y."""
    if layer.shift == 0:
        return q
    high = (1 << layer.shift) - 1
    remainder = assembly.traced(index, Traced.REMAINDER, q.shape[1:], 0, high)
    assembly.range(f"{layer.name}: remainders", remainder, 0, high, integers=True)
    return q.scaled(1 << layer.shift).plus(remainder).shifted(-(1 << (layer.shift - 1)))


def constrain_remainder(assembly: Assembly, layer: Requantise, y: View, q: View) -> None:
    """For a y that exists already: rem = y + 2^(s-1) - 2^s q is a view, looked up in [0, 2^s)."""
    remainder = y.shifted(1 << (layer.shift - 1)).minus(q.scaled(1 << layer.shift))
    assembly.range(f"{layer.name}: remainders", remainder, 0, (1 << layer.shift) - 1, integers=True)


def pooled(assembly: Assembly, layer: Requantise, q: View, pools: Sequence[MaxPool]) -> View:
    """The largest q of each window of `pools`, one after another."""
    for pool in pools:
        dropped = pooling.left_over(pool, q)
        if dropped.entries:
            name = f"{layer.name}: quotients that {pool.name} drops"
            assembly.range(name, dropped, layer.table.low, layer.table.high)
        q = pooling.maximum(assembly, pool, q, _width(layer))
    return q


def activation(assembly: Assembly, index: int, layer: Requantise, q: View) -> View:
    """Fresh wires act, the output of layer `index`, with (q, act) looked up in the table of `layer`."""
    low, high = int(layer.table.values.min()), int(layer.table.values.max())
    act = assembly.traced(index, Traced.OUTPUT, q.shape[1:], low, high)
    domain = layer.table.low + np.arange(len(layer.table.values), dtype=np.int64)
    assembly.lookup(f"{layer.name}: activations", (domain, layer.table.values), q, act)
    return act


def _width(layer: Requantise) -> int:
    """How far apart two quotients of the table's domain can be."""
    return layer.table.high - layer.table.low
