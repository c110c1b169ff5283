"""Elements of Fq12 for tests: inside the target group, beside it, and the map to py_ecc."""

from __future__ import annotations

import random

from py_ecc.fields import optimized_bls12_381_FQ12 as OracleFq12

from pvcnn.algebra import tower
from pvcnn.algebra.constants import BASE_MODULUS, CURVE_PARAMETER, SCALAR_MODULUS

_CYCLOTOMIC_ORDER = BASE_MODULUS**4 - BASE_MODULUS**2 + 1


def random_element(rng: random.Random) -> tower.Fq12:
    return tuple(rng.randrange(BASE_MODULUS) for _ in range(12))


def to_oracle(a: tower.Fq12) -> OracleFq12:
    """u = w^6 - 1, v = w^2."""
    coefficients = [0] * 12
    for h in range(2):
        for j in range(3):
            low, high = a[6 * h + 2 * j], a[6 * h + 2 * j + 1]
            coefficients[2 * j + h] += low - high
            coefficients[2 * j + h + 6] += high
    return OracleFq12([c % BASE_MODULUS for c in coefficients])


def cyclotomic(rng: random.Random) -> tower.Fq12:
    """f^((q^6 - 1)(q^2 + 1)) has order dividing q^4 - q^2 + 1."""
    f = random_element(rng)
    f = tower.multiply(tower.conjugate(f), tower.inverse(f))
    return tower.multiply(tower.frobenius(tower.frobenius(f)), f)


def target(rng: random.Random) -> tower.Fq12:
    return tower.power(cyclotomic(rng), _CYCLOTOMIC_ORDER // SCALAR_MODULUS)


def small_order(rng: random.Random, prime: int) -> tower.Fq12:
    """An element of order `prime`, which divides (q^4 - q^2 + 1) / r."""
    assert _CYCLOTOMIC_ORDER % prime == 0
    element = tower.power(cyclotomic(rng), _CYCLOTOMIC_ORDER // prime)
    assert element != tower.ONE
    assert tower.power(element, prime) == tower.ONE
    return element


def order_dividing_q_minus_z(rng: random.Random) -> tower.Fq12:
    """An element outside the target group with a^q = a^z, of F_q or F_q2 in truth."""
    prime = next(
        p
        for p in range(2, 1 << 16)
        if (BASE_MODULUS - CURVE_PARAMETER) % p == 0 and (BASE_MODULUS**12 - 1) % p == 0
    )
    while True:
        element = tower.power(random_element(rng), (BASE_MODULUS**12 - 1) // prime)
        if element != tower.ONE:
            break
    assert tower.multiply(tower.frobenius(element), tower.power(element, -CURVE_PARAMETER)) == tower.ONE
    return element
