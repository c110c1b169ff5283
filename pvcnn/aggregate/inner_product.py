"""The inner-product argument: what is claimed of the vectors, and how both sides fold it in half.

Vectors of length N: A, C in G1 and B in G2 from the proofs; v_a, v_b in G2 and w_a, w_b in G1 from the
reference string. After the challenge r both parties work with

    A'_i = r^i A_i      C'_i = r^i C_i      v'_i = r^-i v_i      B, w as they are

and every sum that A, C and v occur in together keeps its value. What is claimed first is

    T_AB = sum e(A'_i, v'_a,i) + e(w_a,i, B_i)      U_AB = the same with v_b, w_b
    T_C  = sum e(C'_i, v'_a,i)                      U_C  = the same with v_b
    Z_AB = sum e(A'_i, B_i)                         Z_C,g = sum C'_i over the proofs i of group g

so Z_AB = prod e(A_i, B_i)^(r^i) and Z_C,g = sum r^i C_i. T and U commit to the vectors before r is drawn; the
argument shows that Z_AB and every Z_C,g come from those same vectors. A challenge y, drawn after all Z, makes
one of the Z_C,g: Z_C = sum_g y^g Z_C,g = sum_i e_i C'_i for the public scalars e_i = y^g of the group g that
proof i is in. If one Z_C,g is false, Z_C is for all y but as many as there are groups.

That contains both arguments of SnarkPack (eprint 2021/529): TIPP for (A, B) and, since scaling C and v
together turns the public vector r^i into e_i, MIPP for C with the same commitment key.

A round with challenge x folds left and right halves,

    A' = A'_L + x A'_R    C' = C'_L + x C'_R    w = w_L + x w_R
    B  = B_L + x^-1 B_R   v' = v'_L + x^-1 v'_R   e = e_L + x^-1 e_R

and each of the six values Z into Z + x Z_left + x^-1 Z_right, where the left cross terms are the claim about
(A'_R, B_L, C'_R, v'_L, w_R, e_L) and the right ones that about (A'_L, B_R, C'_L, v'_R, w_L, e_R). A claim
that is false stays false for all but a few x, as long as x is drawn after all twelve cross terms: that is why
the transcript absorbs them, those of the first round included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pvcnn.algebra.constants import G1_BYTES, SCALAR_MODULUS
from pvcnn.algebra.point_sums import folded, multiples, sum_of_multiples_g1
from pvcnn.algebra.points import G1Point, G2Point, encode_g1
from pvcnn.algebra.target import TARGET_BYTES, Pair, TargetElement, Tick, pairing_products

#: T_AB, U_AB, T_C, U_C, Z_AB.
INITIAL_TARGET_BYTES = 5 * TARGET_BYTES
CLAIM_BYTES = INITIAL_TARGET_BYTES + G1_BYTES
#: Pairings that all rounds and what comes before them take, for each entry of the vectors; roughly.
PAIRINGS_PER_ENTRY = 21


def _no_tick(_pairs: int) -> None:
    """Nobody wants to know."""


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
        """T_AB, U_AB, T_C, U_C, Z_AB (288 bytes each), Z_C (48 bytes)."""
        return self.commitments.to_bytes() + self.product.encoded + encode_g1(self.total)


@dataclass(frozen=True)
class InitialClaim:
    """What is claimed before y is drawn: as a claim, but with Z_C,g for each group."""

    commitments: Commitments
    product: TargetElement
    totals: tuple[G1Point, ...]

    def combined(self, y: int) -> Claim:
        """The claim with Z_C = sum_g y^g Z_C,g."""
        total = sum_of_multiples_g1(self.totals, powers_of(y, len(self.totals)))
        return Claim(self.commitments, self.product, total)

    def to_bytes(self) -> bytes:
        """T_AB, U_AB, T_C, U_C, Z_AB (288 bytes each), Z_C,g (48 bytes each)."""
        return self.commitments.to_bytes() + self.product.encoded + self.encoded_totals()

    def encoded_totals(self) -> bytes:
        """Z_C,g, 48 bytes each."""
        return b"".join(map(encode_g1, self.totals))


@dataclass(frozen=True)
class Round:
    """The cross terms of one round, in the order in which they are hashed."""

    left: Claim
    right: Claim

    def to_bytes(self) -> bytes:
        return self.left.to_bytes() + self.right.to_bytes()


@dataclass(frozen=True)
class Vectors:
    """The aggregator's vectors, all of one length. e is empty until y is drawn."""

    a: list[G1Point]
    b: list[G2Point]
    c: list[G1Point]
    v_a: list[G2Point]
    v_b: list[G2Point]
    w_a: list[G1Point]
    w_b: list[G1Point]
    e: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.a)

    def commitments(self, tick: Tick = _no_tick) -> Commitments:
        """T_AB, U_AB, T_C, U_C."""
        return Commitments(*pairing_products(self._committed(), tick))

    def initial_claim(
        self, commitments: Commitments, groups: Sequence[int], tick: Tick = _no_tick
    ) -> InitialClaim:
        """Z_AB and Z_C,g beside the commitments, for groups of these sizes, the last one with the padding."""
        (product,) = pairing_products([_zip(self.a, self.b)], tick)
        totals, at = [], 0
        for size in groups:
            totals.append(sum_of_multiples_g1(self.c[at : at + size], [1] * size))
            at += size
        return InitialClaim(commitments, product, tuple(totals))

    def claim(self, tick: Tick = _no_tick) -> Claim:
        """All six values."""
        *committed, product = pairing_products([*self._committed(), _zip(self.a, self.b)], tick)
        return Claim(Commitments(*committed), product, sum_of_multiples_g1(self.c, self.e))

    def _committed(self) -> list[list[Pair]]:
        """The pairs of each commitment."""
        return [
            _zip(self.a, self.v_a) + _zip(self.w_a, self.b),
            _zip(self.a, self.v_b) + _zip(self.w_b, self.b),
            _zip(self.c, self.v_a),
            _zip(self.c, self.v_b),
        ]

    def scaled(self, r: int) -> Vectors:
        """A', C' and v' for challenge r."""
        powers = powers_of(r, len(self))
        inverse_powers = powers_of(pow(r, -1, SCALAR_MODULUS), len(self))
        return replace(
            self,
            a=multiples(self.a, powers),
            c=multiples(self.c, powers),
            v_a=multiples(self.v_a, inverse_powers),
            v_b=multiples(self.v_b, inverse_powers),
        )

    def combined(self, e: Sequence[int]) -> Vectors:
        """The vectors with the public scalars that y gives."""
        return replace(self, e=tuple(e))

    def cross_terms(self, tick: Tick = _no_tick) -> Round:
        """The claims about the crossed halves."""
        low, high = slice(None, len(self) // 2), slice(len(self) // 2, None)
        return Round(self._crossed(high, low).claim(tick), self._crossed(low, high).claim(tick))

    def _crossed(self, first: slice, second: slice) -> Vectors:
        """A', C', w from one half; B, v', e from the other."""
        return Vectors(
            self.a[first],
            self.b[second],
            self.c[first],
            self.v_a[second],
            self.v_b[second],
            self.w_a[first],
            self.w_b[first],
            self.e[second],
        )

    def folded(self, x: int) -> Vectors:
        """The vectors of half the length after a round with challenge x."""
        inverse = pow(x, -1, SCALAR_MODULUS)
        return Vectors(
            folded(self.a, x),
            folded(self.b, inverse),
            folded(self.c, x),
            folded(self.v_a, inverse),
            folded(self.v_b, inverse),
            folded(self.w_a, x),
            folded(self.w_b, x),
            folded_scalars(self.e, inverse),
        )


def public_scalars(groups: Sequence[int], y: int) -> tuple[int, ...]:
    """e_i = y^g for each proof i of group g, of groups of these sizes."""
    powers = powers_of(y, len(groups))
    return tuple(power for size, power in zip(groups, powers, strict=True) for _ in range(size))


def padded_groups(groups: Sequence[int], size: int) -> list[int]:
    """Sizes that add up to `size`: the padding repeats the last proof, and so belongs to the last group."""
    return [*groups[:-1], size - sum(groups[:-1])]


def folded_scalars(e: Sequence[int], factor: int) -> tuple[int, ...]:
    """low + factor high for the two halves."""
    half = len(e) // 2
    return tuple((low + factor * high) % SCALAR_MODULUS for low, high in zip(e[:half], e[half:], strict=True))


def powers_of(base: int, count: int) -> list[int]:
    """1, base, base^2, ... modulo r."""
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base % SCALAR_MODULUS)
    return powers


def _zip(left: Sequence[G1Point], right: Sequence[G2Point]) -> list[Pair]:
    return list(zip(left, right, strict=True))
