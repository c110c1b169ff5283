"""The noise that covers evaluation noise: where, how much, and that nothing is lost on the way."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.he.context import open_context
from pvcnn.he.flooding import flooding_noise, flooding_octets, uniform_noise
from pvcnn.he.parameters import MIN_FLOODING_BITS
from tests.he.conftest import Roles
from tests.he.parts import expected


def test_uniform_noise() -> None:
    noise = uniform_noise(os.urandom(800_000))
    assert -1 <= noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 3**-0.5) < 0.01
    scaled = noise * 2.0**53
    np.testing.assert_array_equal(scaled, np.rint(scaled))
    assert abs((scaled.astype(np.int64) & 1).mean() - 0.5) < 0.01, "the lowest bit is random"
    assert (uniform_noise(os.urandom(80)) != uniform_noise(os.urandom(80))).all()


def fresh_noise(small: Roles) -> NDArray[np.complex128]:
    return flooding_noise(small.plan, os.urandom(flooding_octets(small.plan)))


def split_parts(
    small: Roles, slots: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The real and imaginary parts that hold outputs of the three channels, and all others."""
    layout = small.plan.output_layout
    is_output = np.zeros((2, small.plan.slot_count), bool)
    for place, own in zip(layout.channels, layout.slots(small.plan.slot_count), strict=True):
        is_output[place.part, own] = True
    others = np.stack([slots.real, slots.imag])[~is_output]
    return layout.gather(slots[None]).ravel(), others


def test_noise_is_small_on_outputs_and_large_elsewhere(small: Roles) -> None:
    outputs, others = split_parts(small, fresh_noise(small))
    for part, amplitude in (
        (outputs, small.plan.flooding_amplitude),
        (others, small.plan.outer_flooding_amplitude),
    ):
        assert 0.95 * amplitude < abs(part).max() <= amplitude
        assert abs(part.std() / amplitude - 3**-0.5) < 0.1


@pytest.mark.parametrize("which", ["small", "deep", "cubic"])
def test_outer_noise_covers_evaluation_noise_by_far(which: str, request: pytest.FixtureRequest) -> None:
    chosen = request.getfixturevalue(which).plan
    noise_bound = chosen.flooding_amplitude / 2**chosen.flooding_bits
    assert chosen.flooding_bits >= MIN_FLOODING_BITS
    assert chosen.outer_flooding_amplitude / noise_bound > 2**19


def test_an_answer_carries_the_noise(small: Roles, frame: NDArray[np.float64], answer: bytes) -> None:
    outputs, others = split_parts(small, small.slots(answer))
    error = outputs - expected(small.private, frame).ravel()
    amplitude = small.plan.flooding_amplitude
    assert 0.95 * amplitude < abs(error).max() < 1.05 * amplitude
    assert abs(error.std() / amplitude - 3**-0.5) < 0.1
    assert abs(others).max() > 0.99 * small.plan.outer_flooding_amplitude


def test_low_bits_of_encoded_noise_are_random(small: Roles) -> None:
    """What noise floods, it floods down to the last bit: none is lost in double precision."""
    context = open_context(small.plan)
    plaintext = context.encode(fresh_noise(small), 1, small.plan.scale)
    # SEAL shows coefficients only transformed, which mixes them; decoding takes that back.
    slots = context.decode(plaintext)
    integers = integer_coefficients(slots, small.plan.degree) * small.plan.scale
    assert abs(integers - np.rint(integers)).max() < 0.2
    lowest = np.rint(integers).astype(np.int64) & 1
    assert abs(lowest.mean() - 0.5) < 0.03
    assert abs(integers).max() < 2.0**53


def integer_coefficients(slots: NDArray[np.complex128], degree: int) -> NDArray[np.float64]:
    """The real polynomial with these values at the encoder's roots e^(i pi 3^k / degree), and conjugates."""
    exponents = np.array([pow(3, k, 2 * degree) for k in range(degree // 2)])
    values = np.zeros(2 * degree, np.complex128)
    values[exponents] = slots
    values[2 * degree - exponents] = slots.conj()
    return np.fft.fft(values)[:degree].real / degree
