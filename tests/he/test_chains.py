"""Layouts, diagonals and folds of random private parts, on plain slots against the plain reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvcnn.he.schedule import chain, input_layouts
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateLayer,
    PrivatePart,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.private_layers import output_shape
from pvcnn.program.windows import Windows
from tests.he.parts import block, convolution, default_part, expected, linear, private_part, random_frame
from tests.he.slots import evaluate_slots


def check(part: PrivatePart, degree: int = 4096) -> None:
    """The outputs are right, and every slot that holds none is zero."""
    found, slot_count = chain(part, degree), degree // 2
    frame = random_frame(part.input_shape, 1)
    slots = evaluate_slots(found, slot_count, frame)
    outputs = found.output.gather(slots[None])
    np.testing.assert_allclose(outputs, expected(part, frame), rtol=1e-9, atol=1e-9)
    for place, own in zip(found.output.channels, found.output.slots(slot_count), strict=True):
        (slots.imag if place.part else slots.real)[own] = 0
    assert abs(slots).max() < 1e-9


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_blocks_of_the_demo(blocks: int) -> None:
    layers = [*block(8, 4), *block(16, 2, 8, 1), *block(16, 2, 16, 2)]
    check(private_part((1, 64, 64), layers[: 3 * blocks]), 8192 if blocks == 1 else 16384)


POLYNOMIALS = {
    "square": [0.0, 0.0, 1.0],
    "quadratic": [0.1, 0.5, 0.3],
    "negative quadratic": [0.1, 0.5, -0.3],
    "cubic": [0.2, -0.5, 0.3, 0.1],
    "quartic": [0.2, 0.5, 0.3, -0.1, -0.05],
    "affine after all": [0.5, -2.0, 0.0],
}


@pytest.mark.parametrize("outputs", [1, 3, 9])
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name: str, outputs: int) -> None:
    """Nine channels of 16x16 take two ciphertexts of 2048 slots, which are merged behind the polynomial."""
    polynomial = PrivatePolynomial("polynomial", np.array(POLYNOMIALS[name]))
    first: PrivateLayer = convolution("first", outputs, 1)
    pool = PrivateAveragePool.disjoint("pool", 2)
    chains: list[list[PrivateLayer]] = [
        [first, polynomial],
        [first, polynomial, pool, convolution("second", 2, outputs)],
        [first, pool, polynomial],
        [first, polynomial, Square("again")],
    ]
    for layers in chains:
        check(private_part((1, 16, 16), layers))


WINDOWS = {
    "1x1": Windows.square(1),
    "5x5": Windows.square(5, 1, 2),
    "stride 2": Windows.square(3, 2, 1),
    "stride 3": Windows.square(3, 3, 0),
    "valid": Windows.square(3),
    "uneven": Windows((2, 3), (1, 2), (1, 0, 2, 1)),
    "dilated": Windows.square(3, 1, 2, dilation=2),
    "full": Windows.square(3, 1, 2),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_convolutions(name: str) -> None:
    windows = WINDOWS[name]
    check(private_part((2, 9, 11), [convolution("first", 3, 2, windows=windows)]))
    second = convolution("second", 4, 2, windows=windows)
    layers: list[PrivateLayer] = [convolution("first", 2, 1), Square("square"), second]
    check(private_part((1, 12, 12), layers))
    check(private_part((1, 16, 16), [*block(3, 2), convolution("second", 5, 3, windows=windows)]))


@pytest.mark.parametrize("groups", [2, 4])
def test_groups(groups: int) -> None:
    second = convolution("second", 8, 4, 1, groups=groups)
    layers: list[PrivateLayer] = [convolution("first", 4, 1), Square("square"), second]
    check(private_part((1, 8, 8), layers))


POOLS = {
    "thirds": (Windows.disjoint(3), 9),
    "sixths": (Windows.disjoint(6), 36),
    "overlapping": (Windows.square(3, 2), 9),
    "padded": (Windows.square(3, 2, 1), 9),
    "a sum": (Windows.disjoint(2), 1),
    "whole": (Windows.disjoint(12), 144),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name: str) -> None:
    pool = PrivateAveragePool("pool", *POOLS[name])
    first = convolution("first", 3, 1)
    check(private_part((1, 12, 12), [first, Square("square"), pool]))
    check(private_part((1, 12, 12), [first, pool, Square("square"), convolution("second", 2, 3)]))
    check(private_part((1, 12, 12), [pool, first]))
    constant = PrivatePolynomial("constant", np.array([2.0, 0.5, 1.0]))
    check(private_part((1, 12, 12), [first, constant, pool, convolution("second", 2, 3)]))


@pytest.mark.parametrize(("side", "outputs"), [(8, 10), (6, 64), (3, 2)])
def test_linear_layers(side: int, outputs: int) -> None:
    inputs = 3 * side**2
    layers: list[PrivateLayer] = [
        convolution("first", 3, 1),
        Square("square"),
        linear("linear", outputs, inputs),
    ]
    check(private_part((1, side, side), layers))
    check(private_part((1, side, side), [*layers, Square("again"), linear("last", 5, outputs, 1)]))


def test_frames_of_many_channels() -> None:
    check(private_part((3, 32, 32), [convolution("first", 4, 3), Square("square")]))
    check(private_part((3, 64, 64), [convolution("first", 2, 3), Square("square")]), 8192)


def test_frames_as_large_as_the_slots() -> None:
    """48 x 42 are no power of two, and with padding to one they would not fit."""
    check(private_part((1, 48, 42), [convolution("first", 2, 1), Square("square")]))


def test_input_layouts_are_valid() -> None:
    for shape in ((1, 16, 16), (3, 16, 16), (5, 9, 17), (1, 48, 42), (9, 32, 32)):
        found = list(input_layouts(shape, 2048, shape[1:]))
        assert found
        for layout in found:
            assert layout.shape == shape
            assert layout.is_valid(2048)


@st.composite
def random_parts(draw: st.DrawFn) -> PrivatePart:
    shape = (draw(st.integers(1, 3)), draw(st.integers(4, 16)), draw(st.integers(4, 16)))
    layers: list[PrivateLayer] = []
    inside: tuple[int, ...] = shape
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 3))
        windows = Windows.square(size, draw(st.integers(1, 2)), draw(st.integers(0, size - 1)))
        candidates: list[PrivateLayer] = [
            convolution(f"filters{number}", draw(st.integers(1, 6)), inside[0], number, windows)
        ]
        degree = draw(st.integers(2, 4))
        coefficients = draw(st.lists(st.floats(-1, 1, width=16), min_size=degree, max_size=degree))
        candidates.append(PrivatePolynomial(f"activation{number}", np.array([*coefficients, 0.5])))
        if draw(st.booleans()):
            pool = Windows.square(draw(st.integers(1, 3)), draw(st.integers(1, 3)))
            candidates.append(PrivateAveragePool(f"pool{number}", pool, draw(st.integers(1, 9))))
        for layer in candidates:
            try:
                inside = output_shape(layer, inside)
            except ValueError:
                break
            layers.append(layer)
    if not layers:
        layers = [convolution("only", 2, shape[0])]
    return private_part(shape, layers)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_parts())
def test_random_parts(part: PrivatePart) -> None:
    check(part)


def test_default_part_is_cheap() -> None:
    """As few key switches as by hand: eight rotations, four relinearisations, four times four, three."""
    found = chain(default_part(), 8192)
    assert [stage.key_switches for stage in found.stages] == [8, 4, 16, 3]
