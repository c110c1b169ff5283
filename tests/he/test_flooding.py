"""The noise that covers evaluation noise: where, how much, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from he.conftest import Roles
from he.parts import expected
from pvcnn.he.context import open_context
from pvcnn.he.flooding import flooding_noise, uniform_noise
from pvcnn.he.streams import coefficients


def test_uniform_noise() -> None:
    noise = uniform_noise(100_000)
    assert -1 <= noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 3**-0.5) < 0.01
    scaled = noise * 2.0**53
    np.testing.assert_array_equal(scaled, np.rint(scaled))
    assert abs((scaled.astype(np.int64) & 1).mean() - 0.5) < 0.01, "the lowest bit is random"
    assert (uniform_noise(10) != uniform_noise(10)).all()


def test_noise_is_small_on_outputs_and_large_elsewhere(small: Roles) -> None:
    noise, outputs = flooding_noise(small.plan), small.plan.output_layout.slots().ravel()
    inner, outer = small.plan.flooding_amplitude, small.plan.outer_flooding_amplitude
    assert 0.9 * inner < abs(noise.real[outputs]).max() <= inner
    others = np.delete(noise.real, outputs)
    for part in (others, noise.imag):
        assert 0.99 * outer < abs(part).max() <= outer
        assert abs(part.std() - outer * 3**-0.5) < 0.05 * outer


def test_outer_noise_covers_evaluation_noise_by_far(small: Roles) -> None:
    noise_bound = small.plan.flooding_amplitude / 2**small.plan.flooding_bits
    assert small.plan.outer_flooding_amplitude / noise_bound > 2**20


def test_an_answer_carries_the_noise(small: Roles, frame: NDArray[np.float64], answer: bytes) -> None:
    slots, outputs = small.slots(answer), small.plan.output_layout.slots()
    error = slots.real[outputs] - expected(small.private, frame)
    amplitude = small.plan.flooding_amplitude
    assert 0.9 * amplitude < abs(error).max() < 1.1 * amplitude
    assert abs(error.std() / amplitude - 3**-0.5) < 0.1
    others = np.delete(slots.real, outputs.ravel())
    assert abs(others).max() > 0.99 * small.plan.outer_flooding_amplitude


def test_low_bits_of_encoded_noise_are_random(small: Roles) -> None:
    """What noise floods, it floods down to the last bit: none is lost in double precision."""
    context = open_context(small.plan)
    plaintext = context.encode(flooding_noise(small.plan), 1, small.plan.scale)
    # The transform over the prime's roots of unity mixes all coefficients, so undo it by decoding.
    assert coefficients(plaintext, (small.plan.degree,)).max() < small.plan.moduli[0]
    slots = context.decode(plaintext)
    points = np.concatenate([slots, slots.conj()])
    assert abs(points.real).max() <= small.plan.outer_flooding_amplitude * 1.001
    integers = integer_coefficients(slots, small.plan.degree) * small.plan.scale
    assert abs(integers - np.rint(integers)).max() < 0.2
    lowest = np.rint(integers).astype(np.int64) & 1
    assert abs(lowest.mean() - 0.5) < 0.03
    assert abs(integers).max() < 2.0**53


def integer_coefficients(slots: NDArray[np.complex128], degree: int) -> NDArray[np.float64]:
    """The real polynomial with these values at the encoder's roots e^(i pi 3^k / degree), and conjugates."""
    exponents = np.array([pow(3, k, 2 * degree) for k in range(degree // 2)])
    values = np.empty(2 * degree, np.complex128)
    values[:] = 0
    values[exponents] = slots
    values[2 * degree - exponents] = slots.conj()
    return np.fft.fft(values)[:degree].real / degree
