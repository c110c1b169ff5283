"""Programs that are no chains: what may be joined, what is refused, and what the inference keeps."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import cbor2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.errors import DecodeError
from pvcnn.program import inference
from pvcnn.program.bounds import output_shape
from pvcnn.program.builder import ProgramBuilder
from pvcnn.program.inference import infer, trace
from pvcnn.program.layers import (
    Argmax,
    AveragePool,
    Combine,
    Concatenate,
    Convolution,
    Correct,
    Flatten,
    Hadamard,
    Layer,
    Linear,
    Logits,
    MaxPool,
    Requantise,
    Sign,
)
from pvcnn.program.program import FEATURES, MAX_NODES, Node, Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.windows import Windows
from tests.program.samples import sample_weights, survives_damage

Integers = NDArray[np.int64]

POINT = Windows.square(1)


def sample_graph() -> Program:
    """Every layer that chains lack: features (2, 4, 6) in [-5, 9] to three logits."""
    builder = ProgramBuilder((2, 4, 6), -5, 9)
    wide = builder.add(Convolution("wide", 2, 4, Windows((3, 2), (1, 1), (1, 1, 1, 0)), 3, 0, 2), FEATURES)
    table = Table(-256, np.clip(np.arange(-256, 256), 0, 63))
    active = builder.add(Requantise("active", 0, table), wide)
    pooled = builder.add(MaxPool("pooled", Windows((3, 3), (1, 1), (1, 1, 1, 1))), active)
    total = builder.add(Combine("total", (1, -3, 2), 4), active, pooled, active)
    mean = builder.add(AveragePool("mean", Windows((4, 6))), active)
    gated = builder.add(Hadamard("gated"), total, mean)
    joined = builder.add(Concatenate("joined"), gated, active, FEATURES)
    flat = builder.add(Flatten("flat"), joined)
    builder.add(Logits("logits"), builder.add(Linear("head", 240, 3, 4, 5), flat))
    return builder.finish()


def test_shapes_and_ranges_follow_from_the_layers() -> None:
    program = sample_graph()
    assert program.shapes[1:5] == ((4, 4, 6),) * 4
    assert program.shapes[5:8] == ((4, 1, 1), (4, 4, 6), (10, 4, 6))
    assert program.ranges[1] == (-6 * 9 * 4, 6 * 9 * 4)
    assert program.ranges[3:5] == ((0, 63), (4 - 189, 4 + 189))
    assert program.ranges[5] == (0, 24 * 63)
    assert program.ranges[6] == (-185 * 24 * 63, 193 * 24 * 63)
    assert program.ranges[7] == program.ranges[6]
    assert program.outputs_of(2) == 6


def test_padding_counts_as_zero_in_sums_alone() -> None:
    """A range that lacks 0 has it at the edges of a sum, and never at those of a maximum."""
    table = Table(-1, np.array([7, 8, 9]))
    windows = Windows.square(3, 1, 1)
    pools = (MaxPool("m", windows), AveragePool("a", windows))
    program = Program.chain((1, 2, 2), -1, 1, (Requantise("r", 0, table), *pools, Flatten("f"), Logits("l")))
    assert program.ranges[2:4] == ((7, 9), (0, 81))
    features = np.array([[[[-1, 0], [1, 0]]]])
    made = trace(program, sample_weights(program), features).layers
    assert made[1].output.tolist() == [[[[9, 9], [9, 9]]]]
    assert made[3].output.tolist() == [[36, 36, 36, 36]]


def test_consumers_and_last_uses() -> None:
    program = sample_graph()
    assert program.consumers[FEATURES] == (0, 6)
    assert program.consumers[2] == (2, 3, 3, 4, 6)
    assert program.sole_consumer(0) == 1
    assert program.sole_consumer(1) is None
    assert [program.last_uses(i) for i in range(4)] == [(), (1,), (), (3,)]
    assert sorted(program.last_uses(6)) == [0, 2, 6]


def test_a_node_that_takes_a_value_twice_is_no_sole_consumer() -> None:
    builder = ProgramBuilder((2,), -1, 1)
    sums = builder.add(Linear("l", 2, 2, 2, 2), FEATURES)
    builder.add(Logits("logits"), builder.add(Combine("double", (1, 1)), sums, sums))
    assert builder.finish().sole_consumer(0) is None


def test_a_builder_refuses_values_that_there_are_not() -> None:
    builder = ProgramBuilder((2,), -1, 1)
    for inputs in ((1,), (-1,), (), (0, 0)):
        with pytest.raises(ValueError, match="logits: takes 1 to 1 values made before it"):
            builder.add(Logits("logits"), *inputs)


def test_no_value_is_kept_longer_than_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of many layers needs the memory of a few tensors, whatever its length."""
    made: list[weakref.ref[Integers]] = []
    peak = 0
    original = inference._apply

    def counting(layer: Layer, *rest: Any) -> inference.LayerTrace:
        nonlocal peak
        result = original(layer, *rest)
        made.append(weakref.ref(result.output))
        peak = max(peak, sum(reference() is not None for reference in made))
        return result

    monkeypatch.setattr(inference, "_apply", counting)
    builder = ProgramBuilder((2,), -1, 1)
    value = FEATURES
    for index in range(50):
        value = builder.add(Combine(f"c{index}", (1,), 1), value)
    builder.add(Logits("logits"), value)
    program = builder.finish()
    assert infer(program, sample_weights(program), np.zeros((1, 2), np.int64)).tolist() == [[50, 50]]
    assert peak <= 4


def test_outputs_of_a_public_part() -> None:
    logits = np.array([[3, 5, 5], [-2, -7, -2], [-1, -1, 0]])
    for layer, expected in (
        (Argmax("a"), [1, 0, 2]),
        (Logits("l"), logits.tolist()),
    ):
        program = Program.chain((3,), -8, 7, (layer,))
        part = PublicPart(program, sample_weights(program))
        assert part(logits).tolist() == expected
        assert np.array_equal(trace(program, part.weights, logits).outputs, np.reshape(expected, (3, -1)))


def test_correct_counts_decisions_that_are_labels() -> None:
    logits = np.array([[3, 5, 5], [-2, -7, -2], [-1, -1, 0]])
    several = Program.chain((3,), -8, 7, (Correct("c"),))
    single = Program.chain((1,), -8, 7, (Correct("c"),))
    for program, features, decisions in (
        (several, logits, [1, 0, 2]),
        (single, np.array([[3], [0], [-1]]), [1, 0, 0]),
    ):
        part = PublicPart(program, sample_weights(program))
        classes = max(2, features.shape[1])
        assert program.label_classes == classes
        for labels in itertools.product(range(classes), repeat=3):
            count = sum(a == b for a, b in zip(labels, decisions, strict=True))
            assert part(features, np.array(labels)).tolist() == [count]
            assert trace(program, part.weights, features, np.array(labels)).outputs.tolist() == [[count]]
        assert program.outputs_of(3) == 1
        assert program.ranges[-1] == (0, 1)
        assert Program.from_bytes(program.to_bytes()) == program
    assert part(features[:0], np.zeros(0, np.int64)).tolist() == [0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "c: takes labels"),
        ([0, 1], "3 integers"),
        ([[0, 1, 1]], "3 integers"),
        ([0.0, 1.0, 1.0], "3 integers"),
        ([0, 1, 2], "label of frame 2: 2 is not a class from 0 to 1"),
        ([-1, 1, 2], "label of frame 0: -1"),
    ],
)
def test_labels_that_do_not_fit(labels: list[int] | None, message: str) -> None:
    program = Program.chain((1,), -8, 7, (Correct("c"),))
    part = PublicPart(program, sample_weights(program))
    with pytest.raises(ValueError, match=message):
        part(np.zeros((3, 1), np.int64), None if labels is None else np.array(labels))


def test_only_correct_takes_labels() -> None:
    for layer in (Sign("s"), Logits("l")):
        program = Program.chain((1,), -8, 7, (layer,))
        assert program.label_classes is None
        with pytest.raises(ValueError, match="takes no labels"):
            PublicPart(program, sample_weights(program))(np.zeros((1, 1), np.int64), np.array([0]))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((Node(Combine("c", (1,)), ()), Node(Sign("s"), (1,))), "c: takes 1 to 1 inputs, not 0"),
        ((Node(Combine("c", (1,)), (0, 0)), Node(Sign("s"), (1,))), "c: takes 1 to 1 inputs, not 2"),
        ((Node(Concatenate("c"), (0,)), Node(Sign("s"), (1,))), "c: takes 2 to 256 inputs"),
        ((Node(Hadamard("h"), (0, 0, 0)), Node(Sign("s"), (1,))), "h: takes 2 to 2 inputs"),
        ((Node(Combine("c", (1,)), (1,)), Node(Sign("s"), (1,))), "c: takes the values"),
        ((Node(Combine("c", (1,)), (2,)), Node(Sign("s"), (1,))), "c: takes the values"),
        ((Node(Combine("c", (1,)), (-1,)), Node(Sign("s"), (1,))), "c: takes the values"),
        ((Node(Combine("dead", (1,)), (0,)), Node(Sign("s"), (0,))), "dead: no layer takes what this makes"),
        ((Node(Logits("l"), (0,)), Node(Sign("s"), (1,))), "l: Logits may only come last"),
        ((Node(Argmax("a"), (0,)), Node(Sign("s"), (1,))), "a: Argmax may only come last"),
        ((Node(Combine("c", (1,)), (0,)),), "ends with Sign, Argmax, Logits or Correct"),
        ((Node(Argmax("a"), (0,)),), "a: expects two or more logits"),
        ((Node(Correct("c"), (0,)), Node(Sign("s"), (1,))), "c: Correct may only come last"),
        ((Node(Combine("c", (1,)), (0,)),) * (MAX_NODES + 1), "at most 4096 layers"),
    ],
)
def test_nodes_that_do_not_fit(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Program((1,), -1, 1, nodes)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (Combine("c", (1, 1)), ((2, 3, 3), (2, 3, 4)), "c: cannot add"),
        (Concatenate("c"), ((2, 3, 3), (2, 3, 4)), "c: cannot concatenate"),
        (Concatenate("c"), ((2, 3, 3), (2,)), "c: cannot concatenate"),
        (Hadamard("h"), ((2, 3, 3), (1, 1, 1)), "h: cannot multiply"),
        (Hadamard("h"), ((2, 1, 1), (2, 3, 3)), "h: cannot multiply"),
        (Hadamard("h"), ((4,), (2,)), "h: cannot multiply"),
        (MaxPool("m", Windows((2, 1), padding=(2, 0, 0, 0))), ((1, 3, 3),), "m: a window of shape"),
        (MaxPool("m", Windows((2, 1), (1, 1), (2, 2, 0, 0), (3, 1))), ((1, 1, 1),), "m: a window"),
        (MaxPool("m", Windows((1, 4))), ((1, 3, 3),), "m: nothing is left"),
        (AveragePool("a", POINT), ((9,),), "a: expects channels"),
        (Logits("l"), ((1, 1, 3),), "l: expects logits"),
        (Correct("c"), ((1, 1, 3),), "c: expects logits"),
        (Convolution("c", 4, 4, Windows((1, 3), dilation=(1, 2)), 2, 0), ((4, 9, 4),), "c: nothing is left"),
    ],
)
def test_shapes_that_do_not_fit(layer: Layer, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_shape(layer, *shapes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Convolution("c", 4, 4, POINT, 2, 0, 3),
        lambda: Convolution("c", 4, 6, POINT, 2, 0, 4),
        lambda: Convolution("c", 4, 4, POINT, 2, 1),
        lambda: Convolution("c", 4, 4, Windows((1, 256)), 2, 0),
        lambda: Convolution("c", 4, 4, Windows((1, 1), (0, 1)), 2, 0),
        lambda: MaxPool("c", Windows((1, 1), (1, 1), (0, 0, 0, -1))),
        lambda: AveragePool("c", Windows((1, 1), dilation=(0, 1))),
        lambda: Combine("c", ()),
        lambda: Combine("c", (1, 0)),
        lambda: Combine("c", (1 << 17,)),
        lambda: Combine("c", (1,), 1 << 32),
        lambda: Concatenate(""),
        lambda: Hadamard("a b"),
        lambda: Logits("a\n"),
        lambda: Correct(""),
    ],
)
def test_limits_of_layers(make: Callable[[], Layer]) -> None:
    with pytest.raises(ValueError, match=r"c: |cannot name a layer"):
        make()


def test_values_of_sums_and_products_must_fit_int64() -> None:
    nodes = (Node(Combine("c", (1 << 16,)), (0,)), Node(Hadamard("h"), (1, 1)), Node(Logits("l"), (2,)))
    with pytest.raises(ValueError, match="h: values may need more than 60 bits"):
        Program((1,), -(1 << 20), 0, nodes)
    many = tuple(Node(Combine(f"c{i}", (1 << 16,) * 256), (i,) * 256) for i in range(2))
    with pytest.raises(ValueError, match="c1: values may need more than 60 bits"):
        Program((1,), -(1 << 20), 0, (*many, Node(Logits("l"), (2,))))


def test_hostile_bytes() -> None:
    survives_damage(Program.from_bytes, sample_graph().to_bytes())


def test_everything_influences_the_digest() -> None:
    program = sample_graph()
    others = [
        edited(0, kernel=[2, 2], padding=[1, 0, 1, 0]),
        edited(0, dilation=[2, 1], padding=[2, 2, 1, 0]),
        edited(0, padding=[1, 1, 0, 1]),
        edited(3, multipliers=[1, -3, 3]),
        edited(3, constant=5),
        edited(3, inputs=[2, 3, 3]),
        edited(6, inputs=[6, 0, 2]),
    ]
    digests = {Program.from_bytes(data).digest() for data in others}
    assert len(digests | {program.digest()}) == len(others) + 1


def edited(index: int, **changes: Any) -> bytes:
    body = cbor2.loads(sample_graph().to_bytes())
    body["nodes"][index].update(changes)
    return cbor2.dumps(body, canonical=True)


@pytest.mark.parametrize(
    "data",
    [
        edited(0, groups=0),
        edited(0, groups=True),
        edited(0, in_channels=4),
        edited(2, kernel=[1, 1], padding=[1, 0, 0, 0]),
        edited(2, dilation=[1]),
        edited(2, size=2),
        edited(3, multipliers=[]),
        edited(3, multipliers=[1, 2]),
        edited(3, multipliers=[1, 0, 2]),
        edited(3, multipliers=[1, 2, 1 << 20]),
        edited(3, multipliers=[1] * 300, inputs=[2] * 300),
        edited(3, constant=(1 << 31) + 1),
        edited(3, inputs=[2, 3]),
        edited(3, inputs=[2, 3, 4]),
        edited(5, inputs=[5, 4]),
        edited(6, inputs=[6]),
        edited(6, inputs=[0] * 257),
        edited(7, inputs=[6]),
        edited(9, kind="argmax", name="wide"),
        edited(9, kind="flatten"),
        edited(9, kind="sign"),
    ],
)
def test_edited_programs_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Program.from_bytes(data)


def test_version_1_is_refused() -> None:
    body = cbor2.loads(sample_graph().to_bytes()) | {"version": 1}
    with pytest.raises(DecodeError, match="only version 2"):
        Program.from_bytes(cbor2.dumps(body, canonical=True))
