"""Stage one of the witness, in int64: everything that is committed before the challenges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import RangeError
from pvcnn.program.inference import LayerTrace
from pvcnn.qmp.compile import CompiledProgram
from pvcnn.qmp.matrix_program import CONSTANT_WIRE, FIRST_OUTPUT, MatrixProgram
from pvcnn.qmp.system import StageOne

Integers = NDArray[np.int64]


def fill_stage_one(
    compiled: CompiledProgram,
    outputs: Integers,
    features: Integers,
    weights: Integers,
    layers: Sequence[LayerTrace],
    labels: Integers,
    *,
    check: bool = False,
) -> StageOne:
    """All wires that are committed before the challenges, by following the hints in their order.

    outputs: as `Trace.outputs`; features: (frames, *input_shape); weights: as `Weights.flat`; layers: the
    values of every node; labels: (frames,), or (0,) of a program that takes none. With `check`, a value that
    its table lacks raises RangeError, naming layer, position and value; its message holds secrets (see
    RangeError).
    """
    segments = compiled.matrix_program.segments
    z = np.zeros(segments.total + compiled.matrix_program.derived, np.int64)
    z[CONSTANT_WIRE] = 1
    z[FIRST_OUTPUT : segments.pub] = outputs.reshape(-1)
    z[segments.span("in")] = features.reshape(-1)
    z[segments.span("w")] = weights
    z[segments.span("lab")] = labels
    for hint in compiled.hints:
        z[hint.wires] = hint.values(layers, z)
    if check:
        _check_lookups(compiled.matrix_program, z)
    parts = (z[segments.span(name)] for name in ("in", "w", "aux", "lab"))
    return StageOne(z[FIRST_OUTPUT : segments.pub], *parts)


def _check_lookups(program: MatrixProgram, z: Integers) -> None:
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
