"""Polynomials as residues: packing to bytes, products modulo primes, expansion from seeds.

A residue polynomial is (primes, degree) uint64: row i holds coefficients (of the transformed polynomial)
modulo the i-th prime, each in [0, q_i). On the wire every coefficient takes exactly the prime's bits, so
a polynomial has one encoding, of a length that is known beforehand.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DecodeError

Residues = NDArray[np.uint64]

_HALF_BITS = 30
_HALF = np.uint64((1 << _HALF_BITS) - 1)


def packed_bytes(degree: int, moduli: tuple[int, ...]) -> int:
    """Length of a packed polynomial; the degree is a multiple of 8."""
    return sum(modulus.bit_length() for modulus in moduli) * degree // 8


def pack(polynomial: Residues, moduli: tuple[int, ...]) -> bytes:
    """Little-endian bits of all coefficients, prime after prime."""
    rows = []
    for row, modulus in zip(polynomial, moduli, strict=True):
        octets = np.ascontiguousarray(row, "<u8").view(np.uint8).reshape(-1, 8)
        bits = np.unpackbits(octets, axis=1, count=modulus.bit_length(), bitorder="little")
        rows.append(np.packbits(bits, bitorder="little").tobytes())
    return b"".join(rows)


def unpack(data: bytes, degree: int, moduli: tuple[int, ...], where: str) -> Residues:
    """(primes, degree) residues. Raises DecodeError for a wrong length or a residue that is not reduced."""
    if len(data) != packed_bytes(degree, moduli):
        raise DecodeError(f"{where}: a polynomial has {packed_bytes(degree, moduli)} bytes, not {len(data)}")
    polynomial = np.empty((len(moduli), degree), np.uint64)
    octets = np.frombuffer(data, np.uint8)
    for row, modulus in enumerate(moduli):
        width = modulus.bit_length()
        taken, octets = octets[: width * degree // 8], octets[width * degree // 8 :]
        bits = np.zeros((degree, 64), np.uint8)
        bits[:, :width] = np.unpackbits(taken, bitorder="little").reshape(degree, width)
        polynomial[row] = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
        if (polynomial[row] >= modulus).any():
            raise DecodeError(f"{where}: a coefficient is not below its prime")
    return polynomial


def multiply(a: Residues, b: Residues, moduli: tuple[int, ...]) -> Residues:
    """Entrywise product of (..., primes, degree) residues."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), np.uint64)
    for row, modulus in enumerate(moduli):
        left, right = a[..., row, :], b[..., row, :]
        high = _multiply_small(left, right >> np.uint64(_HALF_BITS), modulus)
        shifted = _multiply_small(high, np.uint64(1 << _HALF_BITS), modulus)
        low = _multiply_small(left, right & _HALF, modulus)
        product[..., row, :] = (shifted + low) % np.uint64(modulus)
    return product


def _multiply_small(a: Residues, b: Residues | np.uint64, modulus: int) -> Residues:
    """a b modulo a prime of at most 60 bits, for a reduced and b at most 2^30.

    The quotient is below 2^30, so its floating-point estimate is off by one at most, and the remainder is
    exact although the products wrap around 2^64.
    """
    quotient = (a.astype(np.float64) * np.float64(b) / modulus).astype(np.uint64)
    remainder = (a * b - quotient * np.uint64(modulus)).view(np.int64)
    remainder += np.where(remainder < 0, modulus, 0)
    remainder -= np.where(remainder >= modulus, modulus, 0)
    return remainder.view(np.uint64)


def add(a: Residues, b: Residues, moduli: tuple[int, ...]) -> Residues:
    """Entrywise sum of (..., primes, degree) residues."""
    return (a + b) % _column(moduli)


def subtract(a: Residues, b: Residues, moduli: tuple[int, ...]) -> Residues:
    """Entrywise difference of (..., primes, degree) residues."""
    return (a + (_column(moduli) - b)) % _column(moduli)


def _column(moduli: tuple[int, ...]) -> Residues:
    return np.array(moduli, np.uint64)[:, None]


def expand(seed: bytes, index: int, degree: int, moduli: tuple[int, ...]) -> Residues:
    """(primes, degree): the uniform polynomial of this index, from SHAKE-256 and a public seed.

    Words of SHAKE-256(seed, index, prime's place) are cut to the prime's length, and those that are not
    below the prime are skipped.
    """
    polynomial = np.empty((len(moduli), degree), np.uint64)
    for row, modulus in enumerate(moduli):
        stream = hashlib.shake_256(
            b"pvcnn/uniform-polynomial" + seed + index.to_bytes(4, "little") + bytes([row])
        )
        mask = np.uint64((1 << modulus.bit_length()) - 1)
        words = degree + 16
        while True:
            drawn = np.frombuffer(stream.digest(8 * words), "<u8") & mask
            kept = drawn[drawn < modulus]
            if len(kept) >= degree:
                break
            words *= 2
        polynomial[row] = kept[:degree]
    return polynomial
