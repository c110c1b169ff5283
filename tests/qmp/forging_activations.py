"""Moves against requantisation, activation and pooling (see tests.qmp.forging)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.program.inference import LayerTrace
from pvcnn.program.layers import MaxPool, Requantise
from pvcnn.qmp.circuit import ProgramCircuit
from pvcnn.qmp.hints import Hint, Larger, Multiplicities, Traced
from pvcnn.qmp.matrix_program import Lookup
from pvcnn.qmp.requantisation import pools_to_move
from pvcnn.qmp.system import StageOne
from tests.qmp.forging import (
    Move,
    changed,
    continued,
    first_layer,
    placed,
    requantised,
    tampering,
    traced_wires,
    windows,
    within_aux,
)

Integers = NDArray[np.int64]
#: From the entries of windows (..., k), their running maxima (..., k - 1), true or false.
Choose = Callable[[Integers], Integers]


def wrong_activation(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """act is not the table's value of the largest q of the first window."""

    def change(values: LayerTrace) -> LayerTrace:
        act = values.output
        return replace(values, output=changed(act, (0,) * act.ndim, -1 if act.flat[0] > 0 else 1))

    return continued(circuit, honest, tamper=tampering(first_layer(circuit.program, MaxPool), change))


def activation_of_a_smaller_one(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """act is the table's value of another q of the window than the largest."""
    index = first_layer(circuit.program, MaxPool)
    pool = circuit.program.layers[index]
    assert isinstance(pool, MaxPool)
    activations: list[Integers] = []

    def tamper(at: int, values: LayerTrace) -> LayerTrace:
        if at == index - 1:
            activations.append(values.output)
        if at != index:
            return values
        smallest = windows(pool.size, activations[0]).min(axis=-1)
        position = np.argwhere(smallest < values.output)[0]
        change = int(smallest[tuple(position)] - values.output[tuple(position)])
        return LayerTrace(changed(values.output, position, change))

    return continued(circuit, honest, tamper=tamper)


def wrong_split(step: int) -> Move:
    """q moves by `step` and rem makes up for it, so that y stays what it is; maxima and act follow q."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index, layer = _shifting(circuit, "act")

        def change(values: LayerTrace) -> LayerTrace:
            assert values.quotient is not None
            assert values.remainder is not None
            position = np.argwhere((values.quotient > layer.table.low) & (values.quotient < layer.table.high))
            q = changed(values.quotient, position[0], step)
            remainder = changed(values.remainder, position[0], -step << layer.shift)
            return requantised(layer, q, remainder)

        return continued(circuit, honest, tamper=tampering(index, change))

    return move


def false_maxima(choose: Choose) -> Move:
    """The running maxima of the first max pool are what `choose` says; everything else follows them."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = first_layer(circuit.program, MaxPool)
        pool = circuit.program.layers[index]
        assert isinstance(pool, MaxPool)
        larger = [hint for hint in circuit.compiled.hints if isinstance(hint, Larger)]
        before = circuit.program.layers[index - 1] if index else None
        moved = index > 0 and pool in pools_to_move(circuit.program.layers, index - 1)
        inputs = [honest.in_.reshape(circuit.frames, *circuit.program.input_shape)]
        running: list[Integers] = []

        def tamper(at: int, values: LayerTrace) -> LayerTrace:
            if at == index - 1:
                quotient = values.quotient if moved else values.output
                assert quotient is not None
                inputs.append(quotient)
            if at != index:
                return values
            running.append(choose(windows(pool.size, inputs[-1]).astype(np.int64)))
            largest = running[0][..., -1]
            if not moved:
                return LayerTrace(largest)
            assert isinstance(before, Requantise)
            return LayerTrace(requantised(before, largest, largest).output)

        def advise(hint: Hint, values: Integers) -> Integers:
            if isinstance(hint, Larger) and larger.index(hint) < running[0].shape[-1]:
                return np.asarray(running[0][..., larger.index(hint)]).reshape(-1)
            return values

        return continued(circuit, honest, tamper=tamper, advise=advise)

    return move


def no_entry(candidates: Integers) -> Integers:
    """A maximum is one too large: no entry of the window, but not below any of them."""
    running = running_maxima(candidates)
    running[tuple(np.argwhere(running[..., -1] < candidates.max())[0])][-1] += 1
    return running


def not_the_largest(candidates: Integers) -> Integers:
    """The last comparison takes the smaller one: an entry of the window, but not its largest."""
    running = running_maxima(candidates)
    before = running[..., -2] if running.shape[-1] > 1 else candidates[..., 0]
    position = tuple(np.argwhere(before != candidates[..., -1])[0])
    running[position][-1] = min(before[position], candidates[(*position, -1)])
    return running


def the_first_is_lost(candidates: Integers) -> Integers:
    """The first comparison takes the smaller one, and those that follow are made with it."""
    position = tuple(np.argwhere(candidates[..., 0] != candidates[..., 1])[0])
    running = running_maxima(candidates)
    running[position] = np.maximum.accumulate(
        np.concatenate([[candidates[position][:2].min()], candidates[position][2:]])
    )
    return running


def running_maxima(candidates: Integers) -> Integers:
    return np.array(np.maximum.accumulate(candidates, axis=-1)[..., 1:])


def wrapping_quotient(name: str, step: int | None = 1) -> Move:
    """The first rem of layer `name` is off by `step`, or by the smallest fraction; its q makes up for it
    modulo r. Nothing is pooled.
    """

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return _wrapped(circuit, honest, name, [0], step)

    return move


def wrapping_window(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """All q of a window, and their maxima, are off by the same fraction, so that differences stay."""
    entries, place = _window(circuit, honest, lambda candidates, remainders: bool((remainders < 15).all()))
    forged = _wrapped(circuit, honest, "act", entries)
    index, _ = _shifting(circuit, "act")
    wire = int(traced_wires(circuit, index, Traced.QUOTIENT)[entries[0]])
    by = scalars.to_integers(_element(forged.aux, wire))[0] - int(honest.aux[wire])
    aux = forged.aux
    for hint in circuit.compiled.hints:
        if isinstance(hint, Larger):
            wire = int(within_aux(circuit, hint)[place])
            aux = placed(aux, wire, int(honest.aux[wire]) + by)
    return replace(forged, aux=aux)


def wrapping_entry(step: int) -> Move:
    """A q that is not the largest of its window is a fraction, step / 2^shift away from what it should be;
    the maxima are the true ones.
    """

    def last_is_smaller(candidates: Integers, remainders: Integers) -> bool:
        return bool(candidates[-1] < candidates[:-1].max())

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        entries, _ = _window(circuit, honest, last_is_smaller)
        return _wrapped(circuit, honest, "act", entries[-1:], step)

    return move


def wrapping_leftover(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """A q of the last row, which pooling drops, is a fraction."""
    index, _ = _shifting(circuit, "act")
    last = int(np.prod(circuit.program.shapes[index])) - 1
    return _wrapped(circuit, honest, "act", [last])


def _shifting(circuit: ProgramCircuit, name: str) -> tuple[int, Requantise]:
    index = first_layer(circuit.program, Requantise, lambda layer: layer.name == name)
    layer = circuit.program.layers[index]
    assert isinstance(layer, Requantise)
    return index, layer


def _window(
    circuit: ProgramCircuit, honest: StageOne, suits: Callable[[Integers, Integers], bool]
) -> tuple[list[int], int]:
    """The flat positions of the q of the first window that suits, and the window's own."""
    index, _ = _shifting(circuit, "act")
    pool = circuit.program.layers[index + 1]
    assert isinstance(pool, MaxPool)
    shape = (circuit.frames, *circuit.program.shapes[index])
    flat = windows(pool.size, np.arange(np.prod(shape)).reshape(shape)).reshape(-1, pool.size**2)
    q = honest.aux[traced_wires(circuit, index, Traced.QUOTIENT)]
    remainders = honest.aux[traced_wires(circuit, index, Traced.REMAINDER)]
    place = next(i for i, entries in enumerate(flat) if suits(q[entries], remainders[entries]))
    return [int(entry) for entry in flat[place]], place


def _wrapped(
    circuit: ProgramCircuit, honest: StageOne, name: str, entries: Sequence[int], step: int | None = 1
) -> StageOne:
    """rem moves within what its lookup accepts at `entries`, up or down, and q makes up for it modulo r.

    By `step`, or, if that is None, by the smallest fraction that the lookup's table has an entry for.
    """
    index, layer = _shifting(circuit, name)
    argument, lookup = next(
        (argument, lookup)
        for argument, lookup in circuit.compiled.matrix_program.lookups()
        if lookup.name == f"{name}: remainders"
    )
    stretch = int(lookup.columns[0].coefficients[0, 0])
    assert step is not None or stretch > 1
    quotients, remainders = (
        traced_wires(circuit, index, what)[entries] for what in (Traced.QUOTIENT, Traced.REMAINDER)
    )
    move = 1 if step is None else step * stretch  # of what is looked up
    if (honest.aux[remainders] * stretch + move >= argument.table.size).any():
        move = -move
    counts = within_aux(circuit, _counting(circuit, lookup))
    by = move * pow(stretch, -1, SCALAR_MODULUS)
    integers = honest.aux.copy()
    np.subtract.at(integers, counts[integers[remainders] * stretch], 1)
    np.add.at(integers, counts[honest.aux[remainders] * stretch + move], 1)
    aux: Any = integers
    for q, rem in zip(quotients, remainders, strict=True):
        aux = placed(aux, int(rem), int(honest.aux[rem]) + by)
        aux = placed(aux, int(q), int(honest.aux[q]) - by * pow(1 << layer.shift, -1, SCALAR_MODULUS))
    return replace(honest, aux=aux)


def _counting(circuit: ProgramCircuit, lookup: Lookup) -> Multiplicities:
    """The hint that counts the entries of the table in which `lookup` looks."""
    hints = (hint for hint in circuit.compiled.hints if isinstance(hint, Multiplicities))
    return next(hint for hint in hints if lookup in hint.lookups)


def _element(values: Any, index: int) -> Any:
    return values[index : index + 1]
