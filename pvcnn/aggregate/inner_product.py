"""The inner-product argument: what is claimed of the vectors, and how both sides fold it in half.

Vectors of length N: A, C in G1 and B in G2 from the proofs; v_a, v_b in G2 and w_a, w_b in G1 from the
reference string. After the challenge r both parties work with

    A'_i = r^i A_i      C'_i = r^i C_i      v'_i = r^-i v_i      B, w as they are

and every sum that A, C and v occur in together keeps its value. A claim about these vectors and a scalar s (1
at first) is six values:

    T_AB = sum e(A'_i, v'_a,i) + e(w_a,i, B_i)      U_AB = the same with v_b, w_b
    T_C  = sum e(C'_i, v'_a,i)                      U_C  = the same with v_b
    Z_AB = sum e(A'_i, B_i)                         Z_C  = s sum C'_i

so Z_AB = prod e(A_i, B_i)^(r^i) and Z_C = sum r^i C_i. T and U commit to the vectors before r is drawn; the
argument shows that Z_AB and Z_C come from those same vectors. It contains both arguments of
SnarkPack (eprint 2021/529): TIPP for (A, B) and, since scaling C and v together turns the public
vector r^i into ones, MIPP for C with the same commitment key.

A round with challenge x folds left and right halves,

    A' = A'_L + x A'_R    C' = C'_L + x C'_R    w = w_L + x w_R
    B  = B_L + x^-1 B_R   v' = v'_L + x^-1 v'_R   s = s (1 + x^-1)

and each of the six values Z into Z + x Z_left + x^-1 Z_right, where the left cross terms are the claim
about (A'_R, B_L, C'_R, v'_L, w_R) and the right ones that about (A'_L, B_R, C'_L, v'_R, w_L). A claim that
is false stays false for all but a few x, as long as x is drawn after all twelve cross terms: that is why the
transcript absorbs them, those of the first round included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvcnn.algebra.constants import G1_BYTES, SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, encode_g1, linear_combination_g1, scalar
from pvcnn.algebra.target import TARGET_BYTES, TargetElement, decode_targets, pairing_product
from pvcnn.errors import DecodeError

_TARGETS = 5
CLAIM_BYTES = _TARGETS * TARGET_BYTES + G1_BYTES


@dataclass(frozen=True)
class Commitments:
    """Pair commitments of eq. (13): T under the reference string of a, U under that of b."""

    t_ab: TargetElement
    u_ab: TargetElement
    t_c: TargetElement
    u_c: TargetElement

    def to_bytes(self) -> bytes:
        return b"".join(element.encoded for element in (self.t_ab, self.u_ab, self.t_c, self.u_c))


@dataclass(frozen=True)
class Claim:
    """The six values of a claim: four commitments, the product Z_AB and the sum Z_C."""

    commitments: Commitments
    product: TargetElement
    total: G1Point

    @property
    def targets(self) -> tuple[TargetElement, ...]:
        """T_AB, U_AB, T_C, U_C, Z_AB."""
        parts = self.commitments
        return parts.t_ab, parts.u_ab, parts.t_c, parts.u_c, self.product

    def to_bytes(self) -> bytes:
        """T_AB, U_AB, T_C, U_C, Z_AB (576 bytes each), Z_C (48 bytes)."""
        return self.commitments.to_bytes() + self.product.encoded + encode_g1(self.total)


def decode_claims(encodings: Sequence[bytes]) -> list[Claim]:
    """Inverse of `Claim.to_bytes` for each. Raises DecodeError unless all values lie in their groups."""
    if any(len(encoding) != CLAIM_BYTES for encoding in encodings):
        raise DecodeError(f"a claim has {CLAIM_BYTES} bytes")
    targets = decode_targets(
        [
            encoding[i * TARGET_BYTES : (i + 1) * TARGET_BYTES]
            for encoding in encodings
            for i in range(_TARGETS)
        ]
    )
    claims = []
    for k, encoding in enumerate(encodings):
        t_ab, u_ab, t_c, u_c, product = targets[k * _TARGETS : (k + 1) * _TARGETS]
        total = decode_g1(encoding[_TARGETS * TARGET_BYTES :])
        claims.append(Claim(Commitments(t_ab, u_ab, t_c, u_c), product, total))
    return claims


@dataclass(frozen=True)
class Round:
    """The cross terms of one round, in the order in which they are hashed."""

    left: Claim
    right: Claim

    def to_bytes(self) -> bytes:
        return self.left.to_bytes() + self.right.to_bytes()


@dataclass(frozen=True)
class Vectors:
    """The aggregator's vectors, all of one length, and the scalar s."""

    a: list[G1Point]
    b: list[G2Point]
    c: list[G1Point]
    v_a: list[G2Point]
    v_b: list[G2Point]
    w_a: list[G1Point]
    w_b: list[G1Point]
    s: int = 1

    def __len__(self) -> int:
        return len(self.a)

    def commitments(self) -> Commitments:
        """T_AB, U_AB, T_C, U_C."""
        return Commitments(
            pairing_product(_zip(self.a, self.v_a) + _zip(self.w_a, self.b)),
            pairing_product(_zip(self.a, self.v_b) + _zip(self.w_b, self.b)),
            pairing_product(_zip(self.c, self.v_a)),
            pairing_product(_zip(self.c, self.v_b)),
        )

    def claim(self, commitments: Commitments | None = None) -> Claim:
        """All six values; `commitments`, where they are known already."""
        total = linear_combination_g1(self.c, [self.s] * len(self))
        product = pairing_product(_zip(self.a, self.b))
        return Claim(commitments or self.commitments(), product, total)

    def scaled(self, r: int) -> Vectors:
        """A', C' and v' for challenge r."""
        powers = powers_of(r, len(self))
        inverse_powers = powers_of(pow(r, -1, SCALAR_MODULUS), len(self))
        return Vectors(
            _scale_g1(self.a, powers),
            self.b,
            _scale_g1(self.c, powers),
            _scale_g2(self.v_a, inverse_powers),
            _scale_g2(self.v_b, inverse_powers),
            self.w_a,
            self.w_b,
        )

    def cross_terms(self) -> Round:
        """The claims about the crossed halves."""
        low, high = slice(None, len(self) // 2), slice(len(self) // 2, None)
        return Round(self._crossed(high, low).claim(), self._crossed(low, high).claim())

    def _crossed(self, first: slice, second: slice) -> Vectors:
        """A', C', w from one half; B, v' from the other."""
        return Vectors(
            self.a[first],
            self.b[second],
            self.c[first],
            self.v_a[second],
            self.v_b[second],
            self.w_a[first],
            self.w_b[first],
            self.s,
        )

    def folded(self, x: int) -> Vectors:
        """The vectors of half the length after a round with challenge x."""
        inverse = pow(x, -1, SCALAR_MODULUS)
        return Vectors(
            _fold_g1(self.a, x),
            _fold_g2(self.b, inverse),
            _fold_g1(self.c, x),
            _fold_g2(self.v_a, inverse),
            _fold_g2(self.v_b, inverse),
            _fold_g1(self.w_a, x),
            _fold_g1(self.w_b, x),
            self.s * (1 + inverse) % SCALAR_MODULUS,
        )


def powers_of(base: int, count: int) -> list[int]:
    """1, base, base^2, ... modulo r."""
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base % SCALAR_MODULUS)
    return powers


def _zip(left: Sequence[G1Point], right: Sequence[G2Point]) -> list[tuple[G1Point, G2Point]]:
    return list(zip(left, right, strict=True))


def _scale_g1(points: Sequence[G1Point], factors: Sequence[int]) -> list[G1Point]:
    return [point * scalar(factor) for point, factor in zip(points, factors, strict=True)]


def _scale_g2(points: Sequence[G2Point], factors: Sequence[int]) -> list[G2Point]:
    return [point * scalar(factor) for point, factor in zip(points, factors, strict=True)]


def _fold_g1(points: Sequence[G1Point], factor: int) -> list[G1Point]:
    half, multiplier = len(points) // 2, scalar(factor)
    return [low + high * multiplier for low, high in zip(points[:half], points[half:], strict=True)]


def _fold_g2(points: Sequence[G2Point], factor: int) -> list[G2Point]:
    half, multiplier = len(points) // 2, scalar(factor)
    return [low + high * multiplier for low, high in zip(points[:half], points[half:], strict=True)]
