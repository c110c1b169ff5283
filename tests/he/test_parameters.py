"""The planner: what it chooses, and what it refuses, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.errors import DecodeError, ParameterError
from pvcnn.he.encryption_plan import EncryptionPlan, SwitchingKey
from pvcnn.he.layout import Layout, Place
from pvcnn.he.parameters import MIN_FLOODING_BITS, plan
from pvcnn.he.primes import MODULUS_BUDGET
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.windows import Windows
from tests.he.parts import convolution, default_part, private_part, small_part


def test_default_block() -> None:
    found = plan(default_part())
    assert found.degree == 8192
    assert sum(found.chain_bits) <= MODULUS_BUDGET[8192] == 218
    # The square keeps its scale: one prime of 60 bits for it and for the mask behind the pooling.
    assert found.chain_bits == (54, 60, 44, 60)
    assert found.scale_bits == 44
    assert found.depth == 2
    # Eight neighbours, two doublings each way (of which 1 and 64 are neighbours), placing, relinearisation.
    steps = {1, 2, 63, 64, 65, 128, 4031, 4032, 4033, 4095}
    elements = {key.element for key in found.keys}
    assert {0} | {pow(3, step, 2 * 8192) for step in steps} <= elements
    assert len(elements) <= len(steps) + 1 + 3
    assert [layer.primes for layer in found.layers] == [2, 2, 2]
    assert all(layer.headroom_bits > 20 and layer.precision_bits > 10 for layer in found.layers)
    assert found.flooding_bits >= MIN_FLOODING_BITS


def test_plan_is_deterministic() -> None:
    assert plan(default_part()) == plan(default_part())
    assert plan(default_part()).digest == plan(default_part()).digest


def test_finer_features_take_a_larger_degree() -> None:
    found = plan(replace(default_part(), feature_step=1e-5))
    assert found.degree == 16384
    assert found.flooding_bits >= MIN_FLOODING_BITS


def test_larger_features_take_a_larger_first_prime() -> None:
    part = default_part()
    larger = plan(part, 1 << 20)
    assert larger.chain_bits[0] - larger.scale_bits == 20 - 9 + 3 - 1 + 1
    assert larger.digest != plan(part).digest


def test_shallow_coarse_part_takes_a_small_degree() -> None:
    layers: list[PrivateLayer] = [convolution("filters", 2, 1), PrivateAveragePool.disjoint("pooling", 2)]
    assert plan(private_part((1, 16, 16), layers, step=100.0), 4).degree == 4096


def deep(blocks: int) -> PrivatePart:
    layers: list[PrivateLayer] = []
    for index in range(blocks):
        mean = PrivateConvolution(f"filters{index}", np.full((1, 1, 3, 3), 1 / 9), np.zeros(1))
        layers += [mean, Square(f"square{index}")]
    return private_part((1, 8, 8), layers)


def test_too_deep_names_the_layer() -> None:
    with pytest.raises(ParameterError, match=r"filters20: the chain is too deep"):
        plan(deep(30))


def test_too_large_a_frame_names_the_layer() -> None:
    with pytest.raises(ParameterError, match=r"filters: a 256x256 channel does not fit"):
        plan(private_part((1, 256, 256), [convolution("filters", 1, 1)]))


def test_too_many_outputs_name_the_layer() -> None:
    layers: list[PrivateLayer] = [convolution("filters", 9, 1), Square("square")]
    with pytest.raises(ParameterError, match=r"square: leaves 9 channels of 64x64, and one .* holds 8"):
        plan(private_part((1, 64, 64), layers))


def test_no_convolution() -> None:
    with pytest.raises(ParameterError, match="no convolution"):
        plan(private_part((1, 8, 8), [Square("square")]))


def test_lost_precision_names_the_layer() -> None:
    with pytest.raises(ParameterError, match=r"(filters|square|pooling): loses the precision"):
        plan(replace(small_part(), feature_step=1e-14))


def test_values_beyond_the_modulus_name_the_layer() -> None:
    layers = [
        PrivateConvolution(f"filters{size:.0e}", np.full((1, 1, 3, 3), size), np.zeros(1))
        for size in (1e40, 1e-40)
    ]
    with pytest.raises(ParameterError, match=r"filters1e\+40: values may reach"):
        plan(private_part((1, 8, 8), layers))


def test_features_beyond_any_prime_name_the_layer() -> None:
    with pytest.raises(ParameterError, match=r"pooling: features may reach"):
        plan(small_part(), 1 << 60)


def polynomial(name: str, *coefficients: float) -> PrivatePolynomial:
    return PrivatePolynomial(name, np.array(coefficients))


ONE = Windows.square(1)
EXTREMES: dict[str, tuple[PrivatePart, int, str]] = {
    "many squares in a row": (
        private_part((1, 8, 8), [convolution("filters", 1, 1), *(Square(f"square{i}") for i in range(24))]),
        4,
        r"^square16: powers in a row have degree 131072",
    ),
    "values beyond doubles": (
        private_part(
            (1, 4, 4),
            [convolution("filters", 1, 1), *(polynomial(f"p{i}", 0, 0, 0, 0, 1e9) for i in "abcdef")],
        ),
        4,
        r"^p[a-f]: (values may reach|together with the layers before it)",
    ),
    "a square of a factor that underflows": (
        private_part(
            (1, 8, 8),
            [convolution("filters", 1, 1), polynomial("tiny", 1e-300, -1e-300, -7e-301), Square("s")],
        ),
        4096,
        r"^s: together with the layers before it",
    ),
    "coefficients out of all proportion": (
        private_part((1, 8, 8), [convolution("filters", 1, 1), polynomial("p", 1.0, 1e300, 1e-300)]),
        4096,
        r"^p: together with the layers before it",
    ),
    "large weights on small pixels": (
        replace(
            private_part(
                (1, 4, 4), [PrivateConvolution("filters", np.full((1, 1, 1, 1), 1e300), np.zeros(1), ONE)]
            ),
            pixel_bound=1e-300,
        ),
        4096,
        r"^filters: loses the precision",
    ),
    "noise beyond the calibrated range, on weights that round to zero": (
        replace(
            private_part(
                (1, 4, 4),
                [
                    PrivateConvolution(name, np.full((1, 1, 1, 1), weight), np.zeros(1), ONE)
                    for name, weight in (("loud", 1e30), ("quiet", 1e-300))
                ],
            ),
            ranges=(1.0, 1.0),
        ),
        4096,
        r"^(loud|quiet): loses the precision",
    ),
    "features beyond doubles": (
        private_part((1, 4, 4), [convolution("filters", 1, 1)], step=1e300),
        1 << 40,
        r"^filters: features may reach 2\^1024",
    ),
    "a factor that the answer's mask takes": (
        private_part((1, 4, 4), [convolution("filters", 1, 1), polynomial("p", 0, 0, 1e300)], step=1e-3),
        4096,
        r"^p: (values may reach|loses the precision)",
    ),
    "more layers than a plan has": (
        private_part(
            (1, 4, 4),
            [convolution("filters", 1, 1), *(PrivateAveragePool(f"pool{i}", ONE, 1) for i in range(32))],
        ),
        4,
        r"^pool31: a plan has at most 32 layers",
    ),
    "more channels than a plan has": (
        private_part((1100, 1, 1), [convolution("filters", 1, 1100, windows=ONE)]),
        4,
        r"^filters: a plan has at most 1024 channels",
    ),
    "longer rows than a plan has": (
        private_part((1, 1, 5000), [convolution("filters", 1, 1, windows=ONE)]),
        4,
        r"^filters: .* not 1 of 1x5000",
    ),
    "windows in the padding": (
        private_part(
            (1, 3, 1), [convolution("filters", 1, 1, windows=Windows((2, 2), (3, 3), (0, 0, 2, 0)))]
        ),
        4096,
        r"^filters: all windows meet nothing but padding",
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_what_no_parameters_fit_is_refused_by_name(name: str) -> None:
    """Not by an error of the arithmetic's, whatever weights, coefficients, bounds and steps are."""
    part, limit, message = EXTREMES[name]
    with pytest.raises(ParameterError, match=message):
        plan(part, limit)


def test_wrong_channels_name_the_layer() -> None:
    with pytest.raises((ParameterError, ValueError), match="filters"):
        plan(private_part((2, 8, 8), [convolution("filters", 1, 1)]))


def test_plan_round_trip() -> None:
    found = plan(default_part())
    assert EncryptionPlan.from_bytes(found.to_bytes()) == found


def test_plan_shows_no_weight() -> None:
    part, data = default_part(), plan(default_part()).to_bytes()
    (filters, *_) = part.layers
    assert isinstance(filters, PrivateConvolution)
    for weight in [*filters.weight.ravel(), *filters.bias]:
        assert np.float64(weight).tobytes() not in data
        assert np.float64(weight).tobytes()[::-1] not in data


GOOD = plan(small_part())


def layout(
    rows: Iterable[int] = (0, 64),
    columns: Iterable[int] = (0, 1),
    channels: tuple[Place, ...] = (Place(0, 0, 0),),
    copies: tuple[int, ...] = (0,),
) -> Layout:
    return Layout(tuple(rows), tuple(columns), channels, copies)


@pytest.mark.parametrize(
    "changes",
    [
        {"degree": 4096},  # the same primes are not secure at half the degree
        {"degree": 8190},
        {"moduli": (*GOOD.moduli, GOOD.moduli[0])},
        {"moduli": GOOD.moduli[:2]},
        {"moduli": (GOOD.moduli[0] + 2, *GOOD.moduli[1:])},
        {"scale_bits": 0},
        {"scale_bits": 50},
        {"pixel_bound": float("nan")},
        {"pixel_bound": float("inf")},
        {"feature_step": 0.0},
        {"feature_step": -1.0},
        {"feature_limit": 1 << 40},
        {"input_layout": layout(rows=range(0, 128 * 128, 128), columns=range(128))},
        {"input_layout": layout(rows=(0, 0))},
        {"input_layout": layout(rows=())},
        {"input_layout": layout(columns=(0, 4096))},
        {"input_layout": layout(copies=(0, 1))},
        {"input_layout": layout(copies=(1,))},
        {"input_layout": layout(channels=(Place(1, 0, 0),))},
        {"output_layout": layout(channels=(Place(0, 2, 0),))},
        {"output_layout": layout(channels=(Place(0, 0, 0), Place(1, 0, 0)))},
        {"output_layout": layout(channels=(Place(0, 0, 0), Place(0, 0, 0)))},
        {"output_layout": layout(copies=(0, 2048))},
        {"keys": (SwitchingKey(5, 2), SwitchingKey(3, 2))},
        {"keys": (SwitchingKey(2, 1),)},
        {"keys": (SwitchingKey(1, 1),)},
        {"keys": (SwitchingKey(16385, 1),)},
        {"keys": (SwitchingKey(3, len(GOOD.moduli)),)},
    ],
)
def test_bad_plans_are_refused_when_made_and_when_read(changes: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        replace(GOOD, **changes)  # type: ignore[arg-type]
    forged = object.__new__(EncryptionPlan)
    for name, value in {**vars(GOOD), **changes}.items():
        if name != "digest":
            object.__setattr__(forged, name, value)
    with pytest.raises(DecodeError):
        EncryptionPlan.from_bytes(forged.to_bytes())


def test_flipped_bits_never_give_the_same_plan() -> None:
    data = GOOD.to_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(DecodeError):
            assert EncryptionPlan.from_bytes(bytes(flipped)) != GOOD


@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    for hostile in (data, GOOD.to_bytes() + data[:1] + b"\0", GOOD.to_bytes()[: -1 - len(data)]):
        with pytest.raises(DecodeError):
            EncryptionPlan.from_bytes(hostile)
