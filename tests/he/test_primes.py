"""Transform primes and the security budget."""

from __future__ import annotations

import pytest

from pvcnn.he.primes import MODULUS_BUDGET, check_moduli, is_prime, transform_primes

CHAIN = transform_primes(8192, (50, 40, 40, 40, 48))


def test_is_prime_agrees_with_trial_division() -> None:
    sieve = [n for n in range(2000) if n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))]
    assert [n for n in range(2000) if is_prime(n)] == sieve


@pytest.mark.parametrize("composite", [3215031751, 3825123056546413051, (2**31 - 1) ** 2])
def test_strong_pseudoprimes_are_not_taken_for_primes(composite: int) -> None:
    assert not is_prime(composite)


def test_chain_is_what_seal_would_choose() -> None:
    seal = pytest.importorskip("tenseal.sealapi")
    chosen = seal.CoeffModulus.Create(8192, [50, 40, 40, 40, 48])
    assert sorted(CHAIN) == sorted(modulus.value() for modulus in chosen)


def test_budget_is_what_seal_allows() -> None:
    seal = pytest.importorskip("tenseal.sealapi")
    for degree, bits in MODULUS_BUDGET.items():
        assert seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128) == bits


def test_good_chain_passes() -> None:
    check_moduli(8192, CHAIN)


@pytest.mark.parametrize(
    ("degree", "moduli"),
    [
        (8192, (*CHAIN, CHAIN[1] - 2)),  # 258 bits
        (4096, CHAIN),  # secure at 8192 only
        (2048, CHAIN[:1]),  # a degree without budget
        (8192, (CHAIN[0], CHAIN[0])),
        (8192, (CHAIN[0], CHAIN[1] * 3)),
        (8192, (CHAIN[0], 2**40 - 87)),  # prime, but without roots of unity
        (8192, transform_primes(8192, (61,))),
    ],
)
def test_bad_chains(degree: int, moduli: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several messages
        check_moduli(degree, moduli)


def test_too_few_primes() -> None:
    with pytest.raises(ValueError, match="not enough primes"):
        transform_primes(8192, (15,))
