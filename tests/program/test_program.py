"""Programs: shapes, ranges, limits, one encoding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import numpy as np
import pytest

from pvcnn.errors import DecodeError
from pvcnn.program.layers import (
    AveragePool,
    Convolution,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import Program
from pvcnn.program.table import MAX_TABLE, Table
from pvcnn.program.windows import Windows
from tests.program.samples import leaky_table, sample_program, survives_damage


def test_shapes_and_ranges_follow_from_the_layers() -> None:
    program = sample_program()
    assert program.shapes[0] == (2, 12, 12)
    assert program.shapes[3:8] == ((3, 6, 6), (4, 3, 3), (4, 3, 3), (4, 1, 1), (4,))
    assert program.shapes[-1] == (1,)
    assert program.ranges[1][1] == 2 * 9 * 4095 * 128 + (1 << 15)
    assert program.ranges[2] == (-13, 128)
    assert program.ranges[6] == (-13 * 9, 128 * 9)
    assert program.ranges[-1] == (0, 1)


def with_layer(program: Program, index: int, layer: Layer) -> Program:
    nodes = list(program.nodes)
    nodes[index] = replace(nodes[index], layer=layer)
    return replace(program, nodes=tuple(nodes))


def test_encoding_and_digest_are_stable() -> None:
    """The digest names a program in keys and manifests: it must not change between versions."""
    program = sample_program()
    assert Program.from_bytes(program.to_bytes()) == program
    assert sample_program().digest() == program.digest()
    assert program.digest().hex() == "2709c977a2382150f637ebca9c5e686877ba8a18a6c25a83b8e728a67f0bf7cb"


def test_everything_influences_the_digest() -> None:
    program = sample_program()
    first = program.layers[0]
    table = leaky_table()
    values = table.values.copy()
    values[7] += 1
    requantise = program.layers[1]
    assert isinstance(first, Convolution)
    assert isinstance(requantise, Requantise)
    others = [
        replace(program, input_high=4094),
        replace(program, input_low=-1),
        replace(program, input_shape=(2, 12, 13)),
        with_layer(program, 0, replace(first, name="other")),
        with_layer(program, 0, replace(first, bias_bits=17)),
        with_layer(program, 1, replace(requantise, shift=10)),
        with_layer(program, 1, replace(requantise, table=Table(table.low, values))),
    ]
    assert len({p.digest() for p in (program, *others)}) == len(others) + 1


def test_hostile_bytes() -> None:
    survives_damage(Program.from_bytes, sample_program().to_bytes())


def edited(**changes: Any) -> bytes:
    body = cbor2.loads(sample_program().to_bytes())
    body.update(changes)
    return cbor2.dumps(body, canonical=True)


def edited_layer(index: int, **changes: Any) -> bytes:
    body = cbor2.loads(sample_program().to_bytes())
    body["nodes"][index].update(changes)
    return cbor2.dumps(body, canonical=True)


@pytest.mark.parametrize(
    "data",
    [
        edited(nodes=[]),
        edited(nodes=[1]),
        edited(nodes=[{"kind": "sign", "inputs": [0]}]),
        edited(nodes=[{"kind": "sign", "name": "a", "inputs": [0], "size": 2}]),
        edited(nodes=[{"kind": "gelu", "name": "a", "inputs": [0]}]),
        edited(nodes=[{"kind": "flatten", "name": "f", "inputs": [0]}] * 5000),
        edited(input_shape=[]),
        edited(input_shape=[2, 12]),
        edited(input_shape=[2, 12, 0]),
        edited(input_shape=[1 << 20, 1 << 20, 1 << 20]),
        edited(input_low=1),
        edited(input_high=1 << 40),
        edited(input_high=-1),
        edited(more=1),
        edited_layer(0, name="second"),
        edited_layer(0, name=""),
        edited_layer(0, name="a\x1b[31mb"),
        edited_layer(0, name="x" * 201),
        edited_layer(0, kernel=[0, 3]),
        edited_layer(0, kernel=[3, 256]),
        edited_layer(0, kernel=[3]),
        edited_layer(0, kernel=3),
        edited_layer(0, stride=[1, 0]),
        edited_layer(0, stride=[1, 1, 1]),
        edited_layer(0, padding=[0, 0, 0, 256]),
        edited_layer(0, padding=[0, 0, 0, -1]),
        edited_layer(0, padding=[0, 0]),
        edited_layer(0, dilation=[0, 1]),
        edited_layer(0, dilation=[1 << 40, 1]),
        edited_layer(0, groups=0),
        edited_layer(0, groups=2),
        edited_layer(0, groups=3),
        edited_layer(0, in_channels=3),
        edited_layer(0, out_channels=1 << 20),
        edited_layer(0, weight_bits=17),
        edited_layer(0, weight_bits=1),
        edited_layer(0, bias_bits=49),
        edited_layer(0, bias_bits=1),
        edited_layer(0, inputs=[]),
        edited_layer(0, inputs=[1]),
        edited_layer(0, inputs=[-1]),
        edited_layer(0, inputs=[0, 0]),
        edited_layer(0, inputs=0),
        edited_layer(3, inputs=[1 << 30]),
        edited_layer(3, inputs=[2]),
        edited_layer(0, weight_bits=True),
        edited_layer(1, shift=17),
        edited_layer(1, values=b""),
        edited_layer(1, values=bytes(4 * MAX_TABLE + 4)),
        edited_layer(1, values=b"abc"),
        edited_layer(1, low=1 << 31),
        edited_layer(1, low=(1 << 31) - 1),
        edited_layer(2, kernel=[0, 2]),
        edited_layer(2, kernel=[13, 2]),
        edited_layer(5, size=2),
        edited_layer(7, in_features=5),
        edited_layer(7, out_features=2),
    ],
)
def test_edited_programs_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Program.from_bytes(data)


def test_values_must_fit_int64() -> None:
    """Tables of huge values in front of a layer of many: refused, not wrapped."""
    table = Table(0, np.array([(1 << 31) - 1]))
    layers = (Requantise("t", 0, table), Linear("l", 1 << 20, 1, 16, 2), Sign("s"))
    with pytest.raises(ValueError, match="l: values may need more than 60 bits"):
        Program.chain((1 << 20,), 0, 1, layers)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Flatten("f"),), "ends with Sign"),
        ((), "ends with Sign"),
        ((Sign("a"), Sign("b")), "a: Sign may only come last"),
        ((Flatten("a"), Flatten("a"), Sign("s")), "names must differ"),
        ((Sign("s"),), "s: expects one logit"),
        ((Linear("l", 3, 1, 8, 8), Sign("s")), "l: expects 3 features"),
        ((Flatten("f"), MaxPool("m", Windows.disjoint(2)), Sign("s")), "m: expects channels"),
        ((AveragePool("a", Windows.disjoint(9)), Sign("s")), "a: nothing is left"),
        ((Convolution("c", 1, 1, Windows.square(12, 1, 1), 8, 8), Sign("s")), "c: nothing is left"),
        (
            (
                Convolution("c", 1, 4096, Windows.square(1, 1, 63), 2, 2),
                AveragePool("a", Windows.disjoint(63)),
                Flatten("f"),
                Linear("l", 16384, 1, 2, 2),
                Sign("s"),
            ),
            "c: a tensor has more than",
        ),
    ],
)
def test_chains_that_do_not_fit(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Program.chain((1, 8, 8), 0, 255, layers)


def test_too_many_weights() -> None:
    layers = [Linear(f"l{i}", 1 << 14, 1 << 14, 2, 2) for i in range(2)]
    requantise = [Requantise(f"r{i}", 16, Table(-1, np.zeros(3, np.int64))) for i in range(2)]
    chain = (layers[0], requantise[0], layers[1], requantise[1], Linear("last", 1 << 14, 1, 2, 2), Sign("s"))
    with pytest.raises(ValueError, match="weights"):
        Program.chain((1 << 14,), 0, 1, chain)


@pytest.mark.parametrize(
    ("low", "values"),
    [
        (0, np.zeros(0, np.int64)),
        (0, np.zeros(MAX_TABLE + 1, np.int64)),
        (0, np.zeros((2, 2), np.int64)),
        (0, np.array([1 << 31])),
        (0, np.array([-(1 << 31) - 1])),
        (1 << 31, np.zeros(1, np.int64)),
        (-(1 << 31) - 1, np.zeros(1, np.int64)),
    ],
)
def test_tables_have_limits(low: int, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="table"):
        Table(low, values)


def test_equal_tables_are_equal_and_read_only() -> None:
    a, b = leaky_table(), leaky_table()
    assert a == b
    assert hash(a) == hash(b)
    assert a != leaky_table(11)
    assert (a.low, a.high) == (-2048, 2047)
    with pytest.raises(ValueError, match="read-only"):
        a.values[0] = 1
