"""Weights: order, ranges, a strict and secret encoding."""

from __future__ import annotations

from typing import Any

import cbor2
import numpy as np
import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.errors import DecodeError, RangeError
from pvcnn.program.program import Program
from pvcnn.program.weights import Weights
from tests.program.samples import sample_program, sample_weights, survives_damage

PROGRAM = sample_program()
WEIGHTS = sample_weights(PROGRAM)


def test_round_trip() -> None:
    decoded = Weights.from_bytes(PROGRAM, WEIGHTS.to_bytes())
    assert decoded.blinding == WEIGHTS.blinding
    for name in ("first", "second", "logit"):
        assert np.array_equal(decoded.weight[name], WEIGHTS.weight[name])
        assert np.array_equal(decoded.bias[name], WEIGHTS.bias[name])
        assert decoded.weight[name].dtype == np.int64


def test_flat_order_is_weights_then_bias_layer_by_layer() -> None:
    flat = WEIGHTS.flat()
    assert flat.dtype == np.int64
    assert np.array_equal(flat[:54], WEIGHTS.weight["first"].ravel())
    assert np.array_equal(flat[54:57], WEIGHTS.bias["first"])
    assert np.array_equal(flat[57:105], WEIGHTS.weight["second"].ravel())
    assert np.array_equal(flat[-1:], WEIGHTS.bias["logit"])
    assert len(flat) == 54 + 3 + 48 + 4 + 4 + 1


def test_hostile_bytes() -> None:
    survives_damage(lambda data: Weights.from_bytes(PROGRAM, data), WEIGHTS.to_bytes())


def edited(**changes: Any) -> bytes:
    body = cbor2.loads(WEIGHTS.to_bytes())
    body.update(changes)
    return cbor2.dumps(body, canonical=True)


def edited_layer(index: int, **changes: Any) -> bytes:
    body = cbor2.loads(WEIGHTS.to_bytes())
    body["layers"][index].update(changes)
    return cbor2.dumps(body, canonical=True)


@pytest.mark.parametrize(
    "data",
    [
        edited(program=bytes(32)),
        edited(blinding=SCALAR_MODULUS.to_bytes(32, "little")),
        edited(blinding=bytes(31)),
        edited(layers=[]),
        edited(layers=cbor2.loads(WEIGHTS.to_bytes())["layers"][:2]),
        edited(layers=cbor2.loads(WEIGHTS.to_bytes())["layers"][::-1]),
        edited(more=1),
        edited_layer(0, weight=bytes(53)),
        edited_layer(0, bias=bytes(3)),
        edited_layer(0, name="second"),
        edited_layer(0, more=1),
        edited_layer(1, weight=bytes([32] * 48)),  # 6-bit weights end at 31
        edited_layer(2, bias=(2048).to_bytes(2, "little")),  # 12-bit biases end at 2047
    ],
)
def test_edited_weights_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Weights.from_bytes(PROGRAM, data)


def test_a_refusal_quotes_no_weight() -> None:
    with pytest.raises(DecodeError) as caught:
        Weights.from_bytes(PROGRAM, edited_layer(1, weight=bytes([37] * 48)))
    assert "37" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_of_another_program() -> None:
    other = Program.chain(PROGRAM.input_shape, 0, 4094, PROGRAM.layers)
    with pytest.raises(DecodeError, match="another program"):
        Weights.from_bytes(other, WEIGHTS.to_bytes())


@pytest.mark.parametrize("value", [-129, 128])
def test_weights_out_of_range(value: int) -> None:
    weight = {name: array.copy() for name, array in WEIGHTS.weight.items()}
    weight["first"][2, 1, 0, 2] = value
    with pytest.raises(
        RangeError, match=rf"weights of first, position \(2, 1, 0, 2\): {value} .*\[-128, 127\]"
    ):
        Weights(PROGRAM, weight, WEIGHTS.bias, 0)


def test_missing_misshapen_and_fractional_arrays() -> None:
    weight = dict(WEIGHTS.weight)
    for name, array in (
        ("first", WEIGHTS.weight["first"][:2]),
        ("logit", WEIGHTS.weight["logit"].astype(np.float64)),
        ("unknown", WEIGHTS.weight["first"]),
    ):
        with pytest.raises(ValueError, match=r"expected integers|all of them"):
            Weights(PROGRAM, {**weight, name: array}, WEIGHTS.bias, 0)  # type: ignore[dict-item]
    del weight["first"]
    with pytest.raises(ValueError, match="all of them"):
        Weights(PROGRAM, weight, WEIGHTS.bias, 0)


@pytest.mark.parametrize("blinding", [-1, SCALAR_MODULUS])
def test_blinding_is_a_scalar(blinding: int) -> None:
    with pytest.raises(ValueError, match="blinding"):
        Weights(PROGRAM, WEIGHTS.weight, WEIGHTS.bias, blinding)


def test_secrets_do_not_show_and_do_not_change() -> None:
    assert str(WEIGHTS.blinding) not in repr(WEIGHTS)
    assert "array" not in repr(WEIGHTS)
    with pytest.raises(ValueError, match="read-only"):
        WEIGHTS.weight["first"][0, 0, 0, 0] = 1
