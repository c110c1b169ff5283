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
from pvcnn.program.windows import Windows
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
#: The maxima that are claimed, given those of two tensors, the tensors, and whether it is the first or the
#: last comparison of a pool.
Lie = Callable[[Integers, Integers, Integers, bool, bool], Integers]


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
        smallest = windows(pool.windows.kernel[0], activations[0]).min(axis=-1)
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


def false_maxima(lie: Lie) -> Move:
    """The maxima of the first max pool are what `lie` says; everything else follows them."""

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        index = first_layer(circuit.program, MaxPool)
        pool = circuit.program.layers[index]
        assert isinstance(pool, MaxPool)
        larger = [hint for hint in circuit.compiled.hints if isinstance(hint, Larger)]
        source = circuit.program.nodes[index].inputs[0]
        before = circuit.program.layers[source - 1] if source else None
        moved = source > 0 and index in pools_to_move(circuit.program, source - 1)
        inputs = [honest.in_.reshape(circuit.frames, *circuit.program.input_shape)]
        claimed: list[Integers] = []

        def tamper(at: int, values: LayerTrace) -> LayerTrace:
            if at == source - 1:
                quotient = values.quotient if moved else values.output
                assert quotient is not None
                inputs.append(quotient)
            if at != index:
                return values
            result, made = maxima(pool.windows, inputs[-1].astype(np.int64), lie)
            claimed.extend(made)
            if not moved:
                return LayerTrace(result)
            assert isinstance(before, Requantise)
            return LayerTrace(requantised(before, result, result).output)

        def advise(hint: Hint, values: Integers) -> Integers:
            if isinstance(hint, Larger) and larger.index(hint) < len(claimed):
                return claimed[larger.index(hint)].reshape(-1)
            return values

        return continued(circuit, honest, tamper=tamper, advise=advise)

    return move


def maxima(shape: Windows, x: Integers, lie: Lie) -> tuple[Integers, list[Integers]]:
    """The maxima over windows, down and then across, and what each comparison on the way gives."""
    made: list[Integers] = []
    sides = shape.outputs(*x.shape[2:])
    met = [shape.met(axis, sides[axis], x.shape[2 + axis]) for axis in (0, 1)]
    seen = np.unique(met[1][met[1] >= 0])
    across = np.where(met[1] < 0, -1, np.searchsorted(seen, met[1]))
    comparisons = sum((axis >= 0).sum(axis=1).max() - 1 for axis in met)

    def along(values: Integers, places: Integers) -> Integers:
        entries = [[int(place) for place in line if place >= 0] for line in places]
        result = values[..., [line[0] for line in entries]]
        for step in range(1, max(map(len, entries))):
            more = [output for output, line in enumerate(entries) if len(line) > step]
            left, right = result[..., more], values[..., [entries[output][step] for output in more]]
            first, last = not made, len(made) == comparisons - 1
            made.append(lie(np.maximum(left, right), left, right, first, last))
            result[..., more] = made[-1]
        return result

    down = along(x[..., seen].transpose(0, 1, 3, 2).copy(), met[0])
    return along(down.transpose(0, 1, 3, 2).copy(), across), made


def no_entry(larger: Integers, left: Integers, right: Integers, first: bool, last: bool) -> Integers:
    """A maximum is one too large: no entry of the window, but not below any of them."""
    copy = larger.copy()
    if last:
        copy[tuple(np.argwhere(larger < larger.max())[0])] += 1
    return copy


def not_the_largest(larger: Integers, left: Integers, right: Integers, first: bool, last: bool) -> Integers:
    """The last comparison takes the smaller one: an entry of the window, but not its largest."""
    return _one_smaller(larger, left, right) if last else larger


def the_first_is_lost(larger: Integers, left: Integers, right: Integers, first: bool, last: bool) -> Integers:
    """The first comparison takes the smaller one, and those that follow are made with it."""
    return _one_smaller(larger, left, right) if first else larger


def _one_smaller(larger: Integers, left: Integers, right: Integers) -> Integers:
    copy = larger.copy()
    position = tuple(np.argwhere(left != right)[0])
    copy[position] = min(left[position], right[position])
    return copy


def wrapping_quotient(name: str, step: int | None = 1) -> Move:
    """The first rem of layer `name` is off by `step`, or by the smallest fraction; its q makes up for it
    modulo r. Nothing is pooled.
    """

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        return _wrapped(circuit, honest, name, [0], step)

    return move


def wrapping_window(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
    """All q of a window, and their maxima, are off by the same fraction, so that differences stay."""
    entries = _window(circuit, honest, lambda candidates, remainders: bool((remainders < 15).all()))
    forged = _wrapped(circuit, honest, "act", entries)
    index, _ = _shifting(circuit, "act")
    wires = traced_wires(circuit, index, Traced.QUOTIENT)[entries]
    by = scalars.to_integers(_element(forged.aux, int(wires[0])))[0] - int(honest.aux[wires[0]])
    moved = wires + circuit.system.segments.span("aux").start
    aux = forged.aux
    for hint in circuit.compiled.hints:
        if isinstance(hint, Larger):
            both = np.isin(hint.left.wires[:, 0], moved) & np.isin(hint.right.wires[:, 0], moved)
            moved = np.concatenate([moved, hint.wires[both]])
            for wire in within_aux(circuit, hint)[both]:
                aux = placed(aux, int(wire), int(honest.aux[wire]) + by)
    return replace(forged, aux=aux)


def wrapping_entry(step: int) -> Move:
    """A q that is smaller than the one above it in its window of 2x2 is a fraction, step / 2^shift away
    from what it should be; the maxima are the true ones.
    """

    def last_is_smaller(candidates: Integers, remainders: Integers) -> bool:
        return bool(candidates[3] < candidates[1])

    def move(circuit: ProgramCircuit, honest: StageOne) -> StageOne:
        entries = _window(circuit, honest, last_is_smaller)
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
) -> list[int]:
    """The flat positions of the q of the first window that suits."""
    index, _ = _shifting(circuit, "act")
    pool = circuit.program.layers[index + 1]
    assert isinstance(pool, MaxPool)
    shape = (circuit.frames, *circuit.program.shapes[index])
    flat = windows(pool.windows.kernel[0], np.arange(np.prod(shape)).reshape(shape)).reshape(
        -1, pool.windows.size
    )
    q = honest.aux[traced_wires(circuit, index, Traced.QUOTIENT)]
    remainders = honest.aux[traced_wires(circuit, index, Traced.REMAINDER)]
    place = next(i for i, entries in enumerate(flat) if suits(q[entries], remainders[entries]))
    return [int(entry) for entry in flat[place]]


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
