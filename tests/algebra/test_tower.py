"""The tower in plain integers against py_ecc, the textbook identities and py_arkworks."""

from __future__ import annotations

import random

import pytest

from pvcnn.algebra import tower
from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_MODULUS
from tests.algebra.tower_elements import (
    cyclotomic,
    order_dividing_q_minus_z,
    random_element,
    small_order,
    target,
    to_oracle,
)


@pytest.fixture
def rng() -> random.Random:
    return random.Random(12381)


def test_products_agree_with_py_ecc(rng: random.Random) -> None:
    edge = [tower.ZERO, tower.ONE, (BASE_MODULUS - 1,) * 12, (0, 1, *(0,) * 10)]
    elements = [random_element(rng) for _ in range(6)] + edge
    for a in elements:
        for b in elements:
            product = tower.multiply(a, b)
            assert all(0 <= c < BASE_MODULUS for c in product)
            assert to_oracle(product) == to_oracle(a) * to_oracle(b)
        assert tower.square(a) == tower.multiply(a, a)


def test_inverse(rng: random.Random) -> None:
    for _ in range(5):
        a = random_element(rng)
        assert tower.multiply(a, tower.inverse(a)) == tower.ONE
        assert tower.fq6_multiply(a[:6], tower.fq6_inverse(a[:6])) == tower.ONE[:6]
    with pytest.raises(ZeroDivisionError):
        tower.inverse(tower.ZERO)


def test_frobenius_is_the_power_q(rng: random.Random) -> None:
    a = random_element(rng)
    assert tower.frobenius(a) == tower.power(a, BASE_MODULUS)
    raised = a
    for _ in range(6):
        raised = tower.frobenius(raised)
    assert raised == tower.conjugate(a)


def test_power_agrees_with_py_ecc(rng: random.Random) -> None:
    a, exponent = random_element(rng), rng.getrandbits(90)
    assert to_oracle(tower.power(a, exponent)) == to_oracle(a) ** exponent
    assert tower.power(a, 0) == tower.ONE


def test_cyclotomic_square_holds_in_the_cyclotomic_subgroup_only(rng: random.Random) -> None:
    a = cyclotomic(rng)
    assert tower.cyclotomic_square(a) == tower.square(a)
    b = random_element(rng)
    assert tower.cyclotomic_square(b) != tower.square(b)


def test_signed_digits_recompose(rng: random.Random) -> None:
    for exponent in [0, 1, 2, SCALAR_MODULUS - 1, *(rng.getrandbits(255) for _ in range(20))]:
        digits = tower.signed_digits(exponent)
        assert sum(d << i for i, d in enumerate(digits)) == exponent
        assert all(d == 0 or (d & 1 and abs(d) < 16) for d in digits)


def test_multi_power(rng: random.Random) -> None:
    elements = [target(rng) for _ in range(3)]
    exponents = [rng.randrange(SCALAR_MODULUS), -5, 0]
    expected = tower.multiply(
        tower.power(elements[0], exponents[0]), tower.power(elements[1], SCALAR_MODULUS - 5)
    )
    assert tower.multi_power(elements, exponents) == expected
    assert tower.multi_power([], []) == tower.ONE


def test_membership(rng: random.Random) -> None:
    member = target(rng)
    assert tower.power(member, SCALAR_MODULUS) == tower.ONE
    assert tower.is_in_target_group(member)
    assert tower.is_in_target_group(tower.ONE)


def test_membership_refuses_what_is_outside(rng: random.Random) -> None:
    """Each condition alone lets one of these through; zero passes both and is refused by name."""
    minus_one = (BASE_MODULUS - 1, *(0,) * 11)
    outside = {
        "zero": tower.ZERO,
        "a random element": random_element(rng),
        "minus one": minus_one,
        "minus a member": tower.multiply(minus_one, target(rng)),
        "the cyclotomic subgroup": cyclotomic(rng),
        "order 4513": small_order(rng, 4513),
        "a^q = a^z alone": order_dividing_q_minus_z(rng),
    }
    for name, element in outside.items():
        assert not tower.is_in_target_group(element), name


def test_merging_by_random_weights_would_not_be_sound(rng: random.Random) -> None:
    """Why elements are tested one by one: 4513 divides the cofactor, so one weight in 4513 would hide it."""
    outside = tower.multiply(target(rng), small_order(rng, 4513))
    assert not tower.is_in_target_group(outside)
    assert tower.is_in_target_group(tower.power(outside, 4513))
