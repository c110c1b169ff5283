"""The tower F_q, Fq2, Fq6, Fq12 of BLS12-381 in plain integers.

    Fq2  = F_q[u] / (u^2 + 1)
    Fq6  = Fq2[v] / (v^3 - (1 + u))
    Fq12 = Fq6[w] / (w^2 - v)

An element is the flat tuple of its coefficients over F_q, each in [0, q), lowest power first:
(c0, c1) for c0 + c1 u; six integers for Fq6; twelve for Fq12, first the six of c0, then the six of
c1, for c0 + c1 w. So coefficient 6 h + 2 j + i belongs to u^i v^j w^h.

py_ecc writes Fq12 as F_q[w] / (w^12 - 2 w^6 + 2) instead: there w is the same, v = w^2 and
u = w^6 - 1.

Products of the smaller fields that end in `_wide` are left unreduced: Python's integers have room, and
a product in Fq12 then reduces twelve times instead of fifty-four.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, TypeAlias

from pvcnn.algebra.constants import BASE_MODULUS, CURVE_PARAMETER, SCALAR_MODULUS

Fq2: TypeAlias = tuple[int, int]
#: Six coefficients.
Fq6: TypeAlias = tuple[int, ...]
#: Twelve coefficients.
Fq12: TypeAlias = tuple[int, ...]

ONE: Final[Fq12] = (1, *(0,) * 11)
ZERO: Final[Fq12] = (0,) * 12

_Q: Final = BASE_MODULUS
#: Digits of `multi_power` are odd and below 2^(_WINDOW - 1) in size.
_WINDOW: Final = 5


def fq2_multiply(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] * b[0] - a[1] * b[1]) % _Q, (a[0] * b[1] + a[1] * b[0]) % _Q


def fq2_square(a: Fq2) -> Fq2:
    return (a[0] + a[1]) * (a[0] - a[1]) % _Q, 2 * a[0] * a[1] % _Q


def fq2_inverse(a: Fq2) -> Fq2:
    """Raises ZeroDivisionError for zero."""
    norm = (a[0] * a[0] + a[1] * a[1]) % _Q
    if norm == 0:
        raise ZeroDivisionError("inverse of zero in Fq2")
    inverse = pow(norm, -1, _Q)
    return a[0] * inverse % _Q, -a[1] * inverse % _Q


def fq2_power(a: Fq2, exponent: int) -> Fq2:
    """a^exponent for exponent >= 0."""
    result: Fq2 = (1, 0)
    for bit in bin(exponent)[2:]:
        result = fq2_square(result)
        if bit == "1":
            result = fq2_multiply(result, a)
    return result


def _fq6_multiply_wide(a: Sequence[int], b: Sequence[int]) -> Fq6:
    """a b, unreduced: Karatsuba over v with six products in Fq2 of three integer products each."""
    a0, a1, a2, a3, a4, a5 = a
    b0, b1, b2, b3, b4, b5 = b

    x, y = a0 * b0, a1 * b1  # the coefficients of 1 (p), v^2 (q) and v^4 (s), before v^3 = 1 + u
    p0, p1 = x - y, (a0 + a1) * (b0 + b1) - x - y
    x, y = a2 * b2, a3 * b3
    q0, q1 = x - y, (a2 + a3) * (b2 + b3) - x - y
    x, y = a4 * b4, a5 * b5
    s0, s1 = x - y, (a4 + a5) * (b4 + b5) - x - y

    c0, c1, d0, d1 = a2 + a4, a3 + a5, b2 + b4, b3 + b5
    x, y = c0 * d0, c1 * d1
    t0, t1 = x - y - q0 - s0, (c0 + c1) * (d0 + d1) - x - y - q1 - s1  # v^3
    c0, c1, d0, d1 = a0 + a2, a1 + a3, b0 + b2, b1 + b3
    x, y = c0 * d0, c1 * d1
    m0, m1 = x - y - p0 - q0, (c0 + c1) * (d0 + d1) - x - y - p1 - q1  # v
    c0, c1, d0, d1 = a0 + a4, a1 + a5, b0 + b4, b1 + b5
    x, y = c0 * d0, c1 * d1
    n0, n1 = x - y - p0 - s0 + q0, (c0 + c1) * (d0 + d1) - x - y - p1 - s1 + q1  # v^2
    return p0 + t0 - t1, p1 + t0 + t1, m0 + s0 - s1, m1 + s0 + s1, n0, n1


def fq6_multiply(a: Fq6, b: Fq6) -> Fq6:
    return tuple(c % _Q for c in _fq6_multiply_wide(a, b))


def fq6_times_v(a: Fq6) -> Fq6:
    """v a, unreduced."""
    return a[4] - a[5], a[4] + a[5], a[0], a[1], a[2], a[3]


def fq6_inverse(a: Fq6) -> Fq6:
    """Raises ZeroDivisionError for zero."""
    x, y, z = (a[0], a[1]), (a[2], a[3]), (a[4], a[5])
    xx, yy, zz = fq2_square(x), fq2_square(y), fq2_square(z)
    xy, xz, yz = fq2_multiply(x, y), fq2_multiply(x, z), fq2_multiply(y, z)
    # The adjugate of multiplication by a: its product with a lies in Fq2.
    t0 = xx[0] - yz[0] + yz[1], xx[1] - yz[0] - yz[1]
    t1 = zz[0] - zz[1] - xy[0], zz[0] + zz[1] - xy[1]
    t2 = yy[0] - xz[0], yy[1] - xz[1]
    adjugate = (*t0, *t1, *t2)
    norm = _fq6_multiply_wide(a, adjugate)
    inverse = fq2_inverse((norm[0] % _Q, norm[1] % _Q))
    return (*fq2_multiply(t0, inverse), *fq2_multiply(t1, inverse), *fq2_multiply(t2, inverse))


def multiply(a: Fq12, b: Fq12) -> Fq12:
    """The product in Fq12."""
    a0, a1, b0, b1 = a[:6], a[6:], b[:6], b[6:]
    low = _fq6_multiply_wide(a0, b0)
    high = _fq6_multiply_wide(a1, b1)
    both = _fq6_multiply_wide(
        [x + y for x, y in zip(a0, a1, strict=True)],
        [x + y for x, y in zip(b0, b1, strict=True)],
    )
    shifted = fq6_times_v(high)
    return (
        *[(x + y) % _Q for x, y in zip(low, shifted, strict=True)],
        *[(s - x - y) % _Q for s, x, y in zip(both, low, high, strict=True)],
    )


def square(a: Fq12) -> Fq12:
    """a^2 in Fq12: two products in Fq6, since c0^2 + v c1^2 = (c0 + c1)(c0 + v c1) - c0 c1 - v c0 c1."""
    a0, a1 = a[:6], a[6:]
    cross = _fq6_multiply_wide(a0, a1)
    shifted = fq6_times_v(a1)
    both = _fq6_multiply_wide(
        tuple(x + y for x, y in zip(a0, a1, strict=True)),
        tuple(x + y for x, y in zip(a0, shifted, strict=True)),
    )
    cross_shifted = fq6_times_v(cross)
    return (
        *[(s - x - y) % _Q for s, x, y in zip(both, cross, cross_shifted, strict=True)],
        *[2 * x % _Q for x in cross],
    )


def conjugate(a: Fq12) -> Fq12:
    """a^(q^6); in the cyclotomic subgroup, and so in the target group, this is the inverse."""
    return (*a[:6], *[-x % _Q for x in a[6:]])


def inverse(a: Fq12) -> Fq12:
    """Raises ZeroDivisionError for zero."""
    a0, a1 = a[:6], a[6:]
    norm = [
        (x - y) % _Q
        for x, y in zip(_fq6_multiply_wide(a0, a0), fq6_times_v(_fq6_multiply_wide(a1, a1)), strict=True)
    ]
    inverted = fq6_inverse(tuple(norm))
    return (*fq6_multiply(a0, inverted), *[-x % _Q for x in fq6_multiply(a1, inverted)])


def compress(a: Fq12) -> Fq6:
    """c1 / (1 + c0) for a = c0 + c1 w with a^(q^6 + 1) = 1: docs/protocol.md, eq. (25).

    Raises ZeroDivisionError for -1, the only such element that it is not defined for.
    """
    return fq6_multiply(a[6:], fq6_inverse(((1 + a[0]) % _Q, *a[1:6])))


def decompress(c: Fq6) -> Fq12:
    """(1 + c w) / (1 - c w), the inverse of `compress`; its norm over Fq6 is 1 whatever c is.

    With n = 1 - v c^2, which is never 0 since v has no square root in Fq6, that is (2/n - 1) + (2c/n) w.
    """
    shifted = fq6_times_v(_fq6_multiply_wide(c, c))
    inverted = fq6_inverse(((1 - shifted[0]) % _Q, *[-x % _Q for x in shifted[1:]]))
    low = ((2 * inverted[0] - 1) % _Q, *[2 * x % _Q for x in inverted[1:]])
    return (*low, *[2 * x % _Q for x in fq6_multiply(c, inverted)])


@cache
def frobenius_coefficients() -> tuple[Fq2, ...]:
    """(1 + u)^(k (q - 1) / 6) for k = 0..5: what w^k is multiplied by under the Frobenius map."""
    base = fq2_power((1, 1), (_Q - 1) // 6)
    powers: list[Fq2] = [(1, 0)]
    for _ in range(5):
        powers.append(fq2_multiply(powers[-1], base))
    return tuple(powers)


def frobenius(a: Fq12) -> Fq12:
    """a^q."""
    factors = frobenius_coefficients()
    result = [0] * 12
    for h in range(2):
        for j in range(3):
            at = 6 * h + 2 * j
            result[at : at + 2] = fq2_multiply((a[at], -a[at + 1]), factors[2 * j + h])
    return tuple(result)


def power(a: Fq12, exponent: int) -> Fq12:
    """a^exponent for any element and exponent >= 0."""
    result = ONE
    for bit in bin(exponent)[2:]:
        result = square(result)
        if bit == "1":
            result = multiply(result, a)
    return result


def _fq4_square(a: Fq2, b: Fq2) -> tuple[int, int, int, int]:
    """(a + b y)^2 for y^2 = 1 + u, unreduced."""
    a0, a1 = a
    b0, b1 = b
    aa0, aa1 = (a0 + a1) * (a0 - a1), 2 * a0 * a1
    bb0, bb1 = (b0 + b1) * (b0 - b1), 2 * b0 * b1
    return aa0 + bb0 - bb1, aa1 + bb0 + bb1, 2 * (a0 * b0 - a1 * b1), 2 * (a0 * b1 + a1 * b0)


def cyclotomic_square(a: Fq12) -> Fq12:
    """a^2 for a with a^(q^4 - q^2 + 1) = 1 (Granger and Scott, eprint 2009/565, section 3.2)."""
    a0, a1, a2, a3, a4, a5, b0, b1, b2, b3, b4, b5 = a
    p0, p1, p2, p3 = _fq4_square((a0, a1), (b2, b3))
    s0, s1, s2, s3 = _fq4_square((b0, b1), (a4, a5))
    t0, t1, t2, t3 = _fq4_square((a2, a3), (b4, b5))
    return (
        (3 * p0 - 2 * a0) % _Q,
        (3 * p1 - 2 * a1) % _Q,
        (3 * s0 - 2 * a2) % _Q,
        (3 * s1 - 2 * a3) % _Q,
        (3 * t0 - 2 * a4) % _Q,
        (3 * t1 - 2 * a5) % _Q,
        (3 * (t2 - t3) + 2 * b0) % _Q,
        (3 * (t2 + t3) + 2 * b1) % _Q,
        (3 * p2 + 2 * b2) % _Q,
        (3 * p3 + 2 * b3) % _Q,
        (3 * s2 + 2 * b4) % _Q,
        (3 * s3 + 2 * b5) % _Q,
    )


def is_in_target_group(a: Fq12) -> bool:
    """Whether a has order dividing r: docs/protocol.md, eq. (19), a^(q^4 - q^2 + 1) = 1 and a^q = a^z.

    Together they say that a^g = 1 for g = gcd(q^4 - q^2 + 1, q - z) = r (Scott, eprint 2021/1130). Zero
    satisfies both as written below and is refused by name.
    """
    if a == ZERO:
        return False
    twice = frobenius(frobenius(a))
    if multiply(frobenius(frobenius(twice)), a) != twice:
        return False
    raised = a
    for bit in bin(-CURVE_PARAMETER)[3:]:
        raised = cyclotomic_square(raised)
        if bit == "1":
            raised = multiply(raised, a)
    return frobenius(a) == conjugate(raised)  # z is negative


def signed_digits(exponent: int, window: int = _WINDOW) -> list[int]:
    """Digits d_i, lowest first, with exponent = sum d_i 2^i; each is 0 or odd with |d_i| < 2^(window-1)."""
    digits = []
    while exponent:
        digit = 0
        if exponent & 1:
            digit = exponent & ((1 << window) - 1)
            if digit >> (window - 1):
                digit -= 1 << window
            exponent -= digit
        digits.append(digit)
        exponent >>= 1
    return digits


def multi_power(elements: Sequence[Fq12], exponents: Sequence[int]) -> Fq12:
    """prod_i elements[i]^exponents[i] for elements of the target group and any integer exponents.

    All powers share their squarings (Straus); a negative digit costs a conjugation.
    """
    tables = []
    for element in elements:
        doubled = cyclotomic_square(element)
        odd = [element]
        for _ in range((1 << (_WINDOW - 2)) - 1):
            odd.append(multiply(odd[-1], doubled))
        tables.append(odd)
    digits = [signed_digits(exponent % SCALAR_MODULUS) for exponent in exponents]
    result = ONE
    for i in reversed(range(max(map(len, digits), default=0))):
        result = cyclotomic_square(result)
        for odd, column in zip(tables, digits, strict=True):
            digit = column[i] if i < len(column) else 0
            if digit > 0:
                result = multiply(result, odd[digit >> 1])
            elif digit < 0:
                result = multiply(result, conjugate(odd[-digit >> 1]))
    return result
