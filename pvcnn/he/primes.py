"""The primes of a modulus chain, and how many bits of them 128-bit security allows."""

from __future__ import annotations

#: Largest bit length of the whole modulus, key-switching prime included, that keeps ternary secrets
#: at 128 bits of classical security (Homomorphic Encryption Standard, 2018, table 1).
MODULUS_BUDGET = {4096: 109, 8192: 218, 16384: 438, 32768: 881}

#: SEAL takes no prime of more bits.
MAX_PRIME_BITS = 60

# Deterministic for every integer below 3.3e24 (Sorenson and Webster, 2015).
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


def is_prime(candidate: int) -> bool:
    """Whether an integer below 2^64 is prime (Miller-Rabin with witnesses that leave no doubt)."""
    if candidate < 2:
        return False
    for witness in _WITNESSES:
        if candidate % witness == 0:
            return candidate == witness
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(candidate, witness, odd, twos) for witness in _WITNESSES)


def _passes(candidate: int, witness: int, odd: int, twos: int) -> bool:
    power = pow(witness, odd, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


def transform_primes(degree: int, bit_lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Distinct primes of the given bit lengths, each 1 modulo 2 `degree`, the largest that exist.

    Such primes have the 2 `degree`-th roots of unity that number-theoretic transforms need. Raises
    ValueError if there are not enough of a length.
    """
    taken: set[int] = set()
    chain = []
    for bits in bit_lengths:
        candidate = (1 << bits) + 1
        while True:
            candidate -= 2 * degree
            if candidate.bit_length() < bits:
                raise ValueError(f"there are not enough primes of {bits} bits for degree {degree}")
            if candidate not in taken and is_prime(candidate):
                break
        taken.add(candidate)
        chain.append(candidate)
    return tuple(chain)


def check_moduli(degree: int, moduli: tuple[int, ...]) -> None:
    """Raises ValueError unless the chain is one of distinct transform primes within the budget."""
    if degree not in MODULUS_BUDGET:
        raise ValueError(f"degree {degree} is not one of {sorted(MODULUS_BUDGET)}")
    bits = sum(modulus.bit_length() for modulus in moduli)
    if bits > MODULUS_BUDGET[degree]:
        raise ValueError(
            f"{bits} bits of modulus at degree {degree} are not secure: at most {MODULUS_BUDGET[degree]}"
        )
    if len(set(moduli)) != len(moduli):
        raise ValueError("the primes of the chain must differ")
    for modulus in moduli:
        if modulus.bit_length() > MAX_PRIME_BITS or modulus % (2 * degree) != 1 or not is_prime(modulus):
            raise ValueError(f"{modulus} is not a transform prime of degree {degree}")
