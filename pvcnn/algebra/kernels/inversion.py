"""Inversion in F_q and F_q^2 by division steps (Bernstein and Yang, "safegcd", eprint 2019/266).

Thirty steps at a time are decided on the low words of f and g alone and then applied to the whole
numbers as one matrix, as in libsecp256k1. Integers are arrays of signed 30-bit limbs. The running
time depends on the value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, uint64

from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.kernels.compilation import intrinsic, kernel, types
from pvcnn.algebra.kernels.fields import (
    base_radix_squared,
    multiply,
    norm,
    times_conjugate,
)

_BITS = 30
_LIMBS = 13
_MASK = (1 << _BITS) - 1
_MODULUS = np.array([(BASE_MODULUS >> (_BITS * i)) & _MASK for i in range(_LIMBS)], np.int64)
_MODULUS_INVERSE = pow(BASE_MODULUS, -1, 1 << _BITS)


@intrinsic
def _trailing_zeros(_context: Any, word: Any) -> Any:
    """How many low bits of a non-zero word are 0."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@kernel
def _division_steps(eta: Any, f: Any, g: Any) -> Any:
    """Thirty division steps on the low words of f (odd) and g: eta after them and the matrix times 2^30."""
    u, v, q, r = int64(1), int64(0), int64(0), int64(1)
    remaining = int64(_BITS)
    while True:
        zeros = _trailing_zeros(g | (int64(-1) << remaining))
        g >>= zeros
        u <<= zeros
        v <<= zeros
        eta -= zeros
        remaining -= zeros
        if remaining == 0:
            return eta, u, v, q, r
        if eta < 0:
            eta = -eta
            f, g = g, -f
            u, q = q, -u
            v, r = r, -v
        # Cancel as many low bits of g as the next swap and the end of the steps allow, at most six:
        # f (f^2 - 2) is -1/f modulo 64 for odd f.
        limit = min(eta + 1, remaining, int64(6))
        multiple = (f * g * (f * f - 2)) & ((int64(1) << limit) - 1)
        g += f * multiple
        q += u * multiple
        r += v * multiple


@kernel
def _update_cofactors(d: Any, e: Any, u: int, v: int, q: int, r: int) -> None:
    """(d, e) becomes the matrix times (d, e) divided by 2^30, modulo p; both stay in (-2p, p)."""
    d_sign, e_sign = d[_LIMBS - 1] >> 63, e[_LIMBS - 1] >> 63
    d_multiple = (u & d_sign) + (v & e_sign)
    e_multiple = (q & d_sign) + (r & e_sign)
    d_carry = u * d[0] + v * e[0]
    e_carry = q * d[0] + r * e[0]
    d_multiple -= (_MODULUS_INVERSE * (d_carry & _MASK) + d_multiple) & _MASK
    e_multiple -= (_MODULUS_INVERSE * (e_carry & _MASK) + e_multiple) & _MASK
    d_carry = (d_carry + _MODULUS[0] * d_multiple) >> _BITS
    e_carry = (e_carry + _MODULUS[0] * e_multiple) >> _BITS
    for i in range(1, _LIMBS):
        d_carry += u * d[i] + v * e[i] + _MODULUS[i] * d_multiple
        e_carry += q * d[i] + r * e[i] + _MODULUS[i] * e_multiple
        d[i - 1], e[i - 1] = d_carry & _MASK, e_carry & _MASK
        d_carry >>= _BITS
        e_carry >>= _BITS
    d[_LIMBS - 1], e[_LIMBS - 1] = d_carry, e_carry


@kernel
def _update_values(f: Any, g: Any, u: int, v: int, q: int, r: int) -> None:
    """(f, g) becomes the matrix times (f, g) divided by 2^30, which is exact."""
    f_carry = (u * f[0] + v * g[0]) >> _BITS
    g_carry = (q * f[0] + r * g[0]) >> _BITS
    for i in range(1, _LIMBS):
        f_carry += u * f[i] + v * g[i]
        g_carry += q * f[i] + r * g[i]
        f[i - 1], g[i - 1] = f_carry & _MASK, g_carry & _MASK
        f_carry >>= _BITS
        g_carry >>= _BITS
    f[_LIMBS - 1], g[_LIMBS - 1] = f_carry, g_carry


@kernel
def _add_modulus_if_negative(d: Any) -> None:
    """Adds p to a negative d, and leaves all limbs but the last in [0, 2^30)."""
    negative = d[_LIMBS - 1] < 0
    carry = int64(0)
    for i in range(_LIMBS):
        carry += d[i] + (_MODULUS[i] if negative else int64(0))
        d[i] = carry & _MASK
        carry >>= _BITS
    d[_LIMBS - 1] |= carry << _BITS


@kernel
def _normalise(d: Any, negate: bool) -> None:
    """Takes d in (-2p, p), negated if asked, to its residue in [0, p)."""
    _add_modulus_if_negative(d)
    if negate:
        carry = int64(0)
        for i in range(_LIMBS):
            carry -= d[i]
            d[i] = carry & _MASK
            carry >>= _BITS
        d[_LIMBS - 1] |= carry << _BITS
    _add_modulus_if_negative(d)


@kernel
def _invert_words(words: Any) -> Any:
    """The inverse modulo p of an integer in [0, p), both as six words; 0 for 0."""
    f, g = _MODULUS.copy(), np.empty(_LIMBS, np.int64)
    d, e = np.zeros(_LIMBS, np.int64), np.zeros(_LIMBS, np.int64)
    e[0] = 1
    source = np.empty(7, np.uint64)
    for i in range(6):
        source[i] = words[i]
    source[6] = 0
    for i in range(_LIMBS):
        word, shift = (_BITS * i) >> 6, uint64((_BITS * i) & 63)
        bits = source[word] >> shift
        if shift > uint64(64 - _BITS):
            bits |= source[word + 1] << (uint64(64) - shift)
        g[i] = int64(bits & uint64(_MASK))
    eta = int64(-1)
    while g.any():
        eta, u, v, q, r = _division_steps(eta, f[0] | (f[1] << _BITS), g[0] | (g[1] << _BITS))
        _update_cofactors(d, e, u, v, q, r)
        _update_values(f, g, u, v, q, r)
    _normalise(d, f[_LIMBS - 1] < 0)
    source[:] = 0
    for i in range(_LIMBS):
        word, shift = (_BITS * i) >> 6, uint64((_BITS * i) & 63)
        source[word] |= uint64(d[i]) << shift
        if shift > uint64(64 - _BITS):
            source[word + 1] |= uint64(d[i]) >> (uint64(64) - shift)
    return (source[0], source[1], source[2], source[3], source[4], source[5])


@kernel
def invert(element: Any) -> Any:
    """1 / element; 0 for 0."""
    inverse = multiply(base_radix_squared(), _invert_words(norm(element)))
    return times_conjugate(element, inverse)
