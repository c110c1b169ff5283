"""Target-group elements: the map from py_arkworks, hostile encodings, and both ways of computing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from py_arkworks_bls12381 import GT, G1Point, G2Point
from py_ecc.fields import optimized_bls12_381_FQ12 as OracleFq12
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2
from py_ecc.optimized_bls12_381.optimized_pairing import pairing as oracle_pairing

from pvcnn.algebra import tower
from pvcnn.algebra.constants import BASE_MODULUS, SCALAR_MODULUS
from pvcnn.algebra.points import scalar
from pvcnn.algebra.target import (
    TARGET_BYTES,
    TargetElement,
    _compiled,
    decode_targets,
    pairing_product,
    pairing_products,
    product_of_powers,
)
from pvcnn.errors import DecodeError
from tests.algebra.tower_elements import cyclotomic, random_element, small_order, target, to_oracle


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every test runs on both paths."""
    if request.param == "plain":
        monkeypatch.setenv("PVCNN_NO_NUMBA", "1")
    _compiled.cache_clear()
    assert (_compiled() is None) == (request.param == "plain")
    yield request.param
    _compiled.cache_clear()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(576)


def coefficients(element: TargetElement) -> tower.Fq12:
    data = element.value
    return tuple(int.from_bytes(data[i : i + 48], "little") for i in range(0, 2 * TARGET_BYTES, 48))


def to_bytes(a: Sequence[int]) -> bytes:
    return b"".join(c.to_bytes(48, "little") for c in a)


def encode(a: tower.Fq12) -> bytes:
    """Of an element of the torus."""
    return to_bytes(tower.compress(a))


def pairing(exponent: int) -> TargetElement:
    return pairing_product([(G1Point() * scalar(exponent), G2Point())])


def test_the_pairing_of_py_arkworks_is_that_of_py_ecc_to_the_power_minus_three() -> None:
    oracle: OracleFq12 = oracle_pairing(G2, G1)
    assert to_oracle(coefficients(pairing(1))) * oracle**3 == OracleFq12.one()


def test_one() -> None:
    assert str(GT.one()) == to_bytes(tower.ONE).hex()
    assert pairing(0).value == to_bytes(tower.ONE)
    assert pairing_product([]).encoded == bytes(TARGET_BYTES)
    assert decode_targets([bytes(TARGET_BYTES)]) == [pairing(0)]


def test_products_and_powers_match_pairings(rng: random.Random) -> None:
    a, b, x, y = (rng.randrange(SCALAR_MODULUS) for _ in range(4))
    left = product_of_powers([pairing(a), pairing(b)], [x, -y])
    assert left == pairing((a * x - b * y) % SCALAR_MODULUS)
    assert product_of_powers([pairing(a)], [0]) == pairing(0)
    assert product_of_powers([], []) == pairing(0)
    assert product_of_powers([pairing(1), pairing(a)], [a, SCALAR_MODULUS - 1]) == pairing(0)


def test_decoding_inverts_encoding(rng: random.Random) -> None:
    elements = [pairing(rng.randrange(SCALAR_MODULUS)) for _ in range(3)] + [pairing(0)]
    assert decode_targets([e.encoded for e in elements]) == elements
    assert decode_targets([encode(target(rng))])
    assert decode_targets([]) == []


def test_decoding_refuses_what_is_outside_the_group(rng: random.Random) -> None:
    """Elements of the torus: its order is q^6 + 1."""
    minus_one = (BASE_MODULUS - 1, *(0,) * 11)
    member = target(rng)
    unitary = random_element(rng)
    unitary = tower.multiply(tower.conjugate(unitary), tower.inverse(unitary))
    outside = [
        unitary,
        cyclotomic(rng),
        tower.multiply(minus_one, member),
        tower.multiply(small_order(rng, 4513), member),
        small_order(rng, 4513),
        tower.decompress((5, *(0,) * 5)),
    ]
    for element in outside:
        with pytest.raises(DecodeError):
            decode_targets([encode(member), encode(element), encode(member)])


def test_decoding_refuses_hostile_bytes(rng: random.Random) -> None:
    good = pairing(5).encoded
    not_canonical = (int.from_bytes(good[:48], "little") + BASE_MODULUS).to_bytes(48, "little") + good[48:]
    hostile = [
        b"",
        good[:-1],
        good + b"\0",
        not_canonical,
        b"\xff" * TARGET_BYTES,
        rng.randbytes(TARGET_BYTES),
    ]
    for at in rng.sample(range(8 * TARGET_BYTES), 12):
        flipped = bytearray(good)
        flipped[at // 8] ^= 1 << (at % 8)
        hostile.append(bytes(flipped))
    for data in hostile:
        with pytest.raises(DecodeError):
            decode_targets([data])


def test_operators_of_py_arkworks_on_gt_stay_unused() -> None:
    """If this fails the trap is gone and no harm is done: only `str` and pairing products are relied upon."""
    base = GT.pairing(G1Point(), G2Point())
    doubled = GT.pairing(G1Point() + G1Point(), G2Point())
    assert str(base + base) != str(doubled)


def test_whatever_is_canonical_is_one_element_of_the_torus(rng: random.Random) -> None:
    """Compression is a bijection between Fq6 and the elements of norm 1 but -1: one encoding for each."""
    for _ in range(20):
        compressed = tuple(rng.randrange(BASE_MODULUS) for _ in range(6))
        element = tower.decompress(compressed)
        assert tower.multiply(element, tower.conjugate(element)) == tower.ONE
        assert tower.compress(element) == compressed
    assert tower.decompress((0,) * 6) == tower.ONE
    with pytest.raises(ZeroDivisionError):
        tower.compress((BASE_MODULUS - 1, *(0,) * 11))


def test_members_decompress_to_themselves(rng: random.Random) -> None:
    members = [target(rng) for _ in range(20)]
    decoded = decode_targets([encode(member) for member in members])
    assert [coefficients(element) for element in decoded] == members
    assert [element.encoded for element in decoded] == [encode(member) for member in members]


def test_products_of_several_lists(rng: random.Random) -> None:
    """Cut into chunks, some of them empty, and multiplied again; the pairs are counted."""
    exponents = [[rng.randrange(SCALAR_MODULUS) for _ in range(n)] for n in (0, 1, 3, 300)]
    pairs = [[(G1Point() * scalar(x), G2Point()) for x in row] for row in exponents]
    counted: list[int] = []
    products = pairing_products(pairs, counted.append)
    assert products == [pairing(sum(row) % SCALAR_MODULUS) for row in exponents]
    assert sum(counted) == 304
