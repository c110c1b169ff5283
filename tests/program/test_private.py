"""Private parts: what they compute, what they refuse, one secret encoding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import numpy as np
import pytest

from pvcnn.errors import DecodeError
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivatePart,
    Square,
    private_evaluate,
)
from tests.program.samples import sample_private_part, survives_damage

PART = sample_private_part()


def test_round_trip_is_exact() -> None:
    decoded = PrivatePart.from_bytes(PART.to_bytes())
    assert (decoded.input_shape, decoded.output_shape) == (PART.input_shape, PART.output_shape)
    assert (decoded.pixel_bound, decoded.feature_step) == (PART.pixel_bound, PART.feature_step)
    stem, original = decoded.layers[0], PART.layers[0]
    assert isinstance(stem, PrivateConvolution)
    assert isinstance(original, PrivateConvolution)
    assert np.array_equal(stem.weight, original.weight)
    assert np.array_equal(stem.bias, original.bias)
    assert decoded.layers[1:] == PART.layers[1:]


def test_hostile_bytes() -> None:
    survives_damage(PrivatePart.from_bytes, PART.to_bytes())


def edited(**changes: Any) -> bytes:
    body = cbor2.loads(PART.to_bytes())
    body.update(changes)
    return cbor2.dumps(body, canonical=True)


def edited_layer(index: int, **changes: Any) -> bytes:
    body = cbor2.loads(PART.to_bytes())
    body["layers"][index].update(changes)
    return cbor2.dumps(body, canonical=True)


def number(value: float) -> bytes:
    return np.array(value, "<f8").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        edited(pixel_bound=number(np.nan)),
        edited(pixel_bound=number(-1.0)),
        edited(feature_step=number(0.0)),
        edited(feature_step=number(np.inf)),
        edited(feature_step=bytes(7)),
        edited(input_shape=[1, 8]),
        edited(input_shape=[1, 8, 1 << 20]),
        edited(output_shape=[3, 2, 1]),
        edited(layers=[]),
        edited(layers=[{"kind": "tanh", "name": "t"}]),
        edited(more=1),
        edited_layer(0, weight=number(np.nan) * 27),
        edited_layer(0, bias=number(np.inf) * 3),
        edited_layer(0, weight=bytes(8)),
        edited_layer(0, weight_shape=[3, 1, 9]),
        edited_layer(0, weight_shape=[27, 1, 1, 1]),
        edited_layer(0, weight_shape=[1 << 20, 1 << 20, 3, 3]),
        edited_layer(1, name="stem"),
        edited_layer(1, name="new\nline"),
        edited_layer(1, more=1),
        edited_layer(2, size=9),
        edited_layer(2, size=64),
    ],
)
def test_edited_parts_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        PrivatePart.from_bytes(data)


def test_evaluation_by_hand() -> None:
    """An identity kernel with bias 1 on pixels 0..15: the means of (pixel + 1)^2."""
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 1, 1] = 1.0
    layers = (PrivateConvolution("c", weight, np.ones(1)), Square("s"), PrivateAveragePool.disjoint("p", 2))
    part = PrivatePart((1, 5, 4), 20.0, layers, 1.0, (1, 2, 2))
    frame = np.arange(20.0).reshape(1, 1, 5, 4)
    expected = [[(1 + 4 + 25 + 36) / 4, (9 + 16 + 49 + 64) / 4], [(81 + 100 + 169 + 196) / 4, 0]]
    expected[1][1] = (121 + 144 + 225 + 256) / 4
    assert np.allclose(private_evaluate(part, frame), [[expected]])


def test_evaluation_against_torch() -> None:
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(5).normal(size=(3, 1, 8, 8))
    stem = PART.layers[0]
    assert isinstance(stem, PrivateConvolution)
    x = torch.nn.functional.conv2d(
        torch.from_numpy(frames), torch.tensor(stem.weight), torch.tensor(stem.bias), padding=1
    )
    expected = torch.nn.functional.avg_pool2d(x * x, 4).numpy()
    assert np.allclose(private_evaluate(PART, frames), expected, rtol=1e-12)


def test_frames_of_another_shape() -> None:
    with pytest.raises(ValueError, match="frames must have the shape"):
        private_evaluate(PART, np.zeros((1, 8, 8)))


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (np.zeros((3, 1, 5, 5)), np.zeros(3), "stem: weights .* are not of"),
        (np.zeros((3, 3, 3)), np.zeros(3), "stem: weights .* are not of"),
        (np.zeros((3, 1, 3, 3)), np.zeros(2), "stem: expects one bias"),
        (np.full((3, 1, 3, 3), np.nan), np.zeros(3), "stem: weights, biases and coefficients must be finite"),
    ],
)
def test_malformed_convolutions(weight: np.ndarray, bias: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrivateConvolution("stem", weight, bias)


def test_layers_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="stem: expects 1 channels"):
        replace(PART, input_shape=(2, 8, 8))
    with pytest.raises(ValueError, match="pool: nothing is left"):
        replace(PART, input_shape=(1, 3, 8))
    with pytest.raises(ValueError, match="names must differ"):
        replace(PART, layers=(*PART.layers, Square("stem")))


def test_secrets_do_not_show_and_do_not_change() -> None:
    stem = PART.layers[0]
    assert isinstance(stem, PrivateConvolution)
    assert "array" not in repr(PART)
    with pytest.raises(ValueError, match="read-only"):
        stem.weight[0, 0, 0, 0] = 1.0
