"""The witness: stage one in int64, stage two over F_r once the challenges are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.errors import RangeError
from pvcnn.program.inference import LayerTrace
from pvcnn.qmp.builder import Rule, Step
from pvcnn.qmp.compile import CompiledProgram
from pvcnn.qmp.matrix_program import CONSTANT_WIRE, FIRST_OUTPUT, MatrixProgram
from pvcnn.qmp.system import ConstraintSystem, StageOne

Integers = NDArray[np.int64]


def fill_stage_one(
    compiled: CompiledProgram,
    outputs: Integers,
    features: Integers,
    weights: Integers,
    layers: Sequence[LayerTrace],
) -> StageOne:
    """All wires that are committed before the challenges, by following the hints in their order.

    outputs: (frames,); features: (frames, *input_shape); weights: as `Weights.flat`; layers: the
    values of every layer. Nothing is checked: `check_lookups` does.
    """
    segments = compiled.matrix_program.segments
    z = np.zeros(segments.total, np.int64)
    z[CONSTANT_WIRE] = 1
    z[FIRST_OUTPUT : segments.pub] = outputs
    z[segments.span("in")] = features.reshape(-1)
    z[segments.span("w")] = weights
    for hint in compiled.hints:
        z[hint.wires] = hint.values(layers, z)
    parts = (z[segments.span(name)] for name in ("in", "w", "aux"))
    return StageOne(z[FIRST_OUTPUT : segments.pub], *parts)


def check_lookups(program: MatrixProgram, stage_one: StageOne) -> None:
    """Raises RangeError, naming layer, position and value, for a value that its table lacks.

    The message holds secrets (see RangeError). stage_one: int64 throughout.
    """
    public = np.zeros(FIRST_OUTPUT, np.int64)
    public[CONSTANT_WIRE] = 1
    z: Integers = np.concatenate([public, stage_one.outputs, stage_one.in_, stage_one.w, stage_one.aux])
    for argument, lookup in program.lookups():
        first, *others = (column.evaluate(z) for column in lookup.columns)
        positions = argument.table.positions(first)
        wrong = positions < 0
        for column, values in zip(argument.table.columns[1:], others, strict=True):
            wrong |= column[positions] != values
        if wrong.any():
            entry = int(np.argmax(wrong))
            raise RangeError(
                f"{lookup.name}, entry {entry}: the value {int(first[entry])} is not in its table of "
                f"{argument.table.size}; calibrate again with frames like this one"
            )


def second_stage(
    system: ConstraintSystem,
    steps: Sequence[Step],
    stage_one: StageOne,
    challenges: tuple[int, int, int],
) -> ScalarVector:
    """The priv wires, each computed from the row that defines it.

    Works for any stage one, right or wrong. Raises ZeroDivisionError where theta equals a looked-up
    value, which happens with a probability of about lookups / r.
    """
    z = np.concatenate([*_committed(stage_one, challenges), scalars.zeros(system.segments.priv)])
    for step in steps:
        z[step.wires] = _evaluate(step, system, z)
    return z[system.segments.span("priv")]


def _committed(stage_one: StageOne, challenges: tuple[int, int, int]) -> list[ScalarVector]:
    segments = (stage_one.outputs, stage_one.in_, stage_one.w, stage_one.aux)
    return [scalars.from_integers([1, *challenges]), *map(_elements, segments)]


def _elements(values: NDArray[np.integer[Any]]) -> ScalarVector:
    """Small integers as field elements; field elements as they are."""
    if values.dtype == np.int64:
        return scalars.from_int64(values.astype(np.int64, copy=False))
    return values.astype(np.uint64, copy=False)


def _evaluate(step: Step, system: ConstraintSystem, z: ScalarVector) -> ScalarVector:
    """The wires of `step`; they are still 0 in z."""
    b, c = (matrix.times(z, step.rows) for matrix in (system.b, system.c))
    match step.rule:
        case Rule.QUOTIENT:
            return scalars.multiply(c, scalars.inverse(b))
        case Rule.PRODUCT:
            return scalars.subtract(scalars.multiply(system.a.times(z, step.rows), b), c)
        case Rule.HORNER:
            return _horner(step, system.a.times(z, step.rows), b, c)


def _horner(step: Step, a: ScalarVector, b: ScalarVector, c: ScalarVector) -> ScalarVector:
    """s_1, s_2, ... of each chain: y_0 is A z of its first row, the other y_k are -C z."""
    chains, limbs = step.chains, a.shape[1]
    first = a.reshape(chains, -1, limbs)[:, :1]
    rest = scalars.negate(c).reshape(chains, -1, limbs)
    values = np.concatenate([first, rest], axis=1)
    base = scalars.to_integers(b[:1])[0]
    sums = scalars.horner(np.ascontiguousarray(values.reshape(-1, limbs)), base, chains)
    return np.ascontiguousarray(sums.reshape(chains, -1, limbs)[:, 1:].reshape(-1, limbs))
