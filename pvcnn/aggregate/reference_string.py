"""The aggregation's reference string: powers of two secrets a and b, for up to max_proofs proofs.

    aggregator   [a^i]1, [b^i]1 for i < 2 max_proofs      [a^i]2, [b^i]2 for i < max_proofs
    verifier     [a]1, [b]1, [a]2, [b]2

Commitment keys for N proofs (docs/protocol.md, eq. (13)):

    v_a = ([a^i]2), w_a = ([a^(N+i)]1), and v_b, w_b likewise with b, for i < N.

The shift by N keeps the exponents of v and w apart, so that what is paired with v cannot stand in for what is
paired with w. Two independent secrets are what makes the commitments binding: in G1 anyone has [a^i]1
themselves to cancel with, and only the same vectors under b pin down that the entries are constants. A
reference string with a = b is therefore refused.

Whoever knows a or b can open the commitments to anything and forge aggregates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pvcnn.algebra.constants import G1_BYTES, G2_BYTES, SCALAR_MODULUS
from pvcnn.algebra.point_lists import decode_g1_list, decode_g2_list
from pvcnn.algebra.point_sums import multiples_of_generator_g1, multiples_of_generator_g2
from pvcnn.algebra.points import (
    G1Point,
    G2Point,
    decode_g1,
    decode_g2,
    encode_g1,
    encode_g2,
    pairing_product_is_one,
    random_scalar,
)
from pvcnn.algebra.transcript import digest
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError

KEY_FORMAT = "pvcnn-aggregation-key"
VERIFIER_KEY_FORMAT = "pvcnn-aggregation-verifier-key"
VERSION = 1
#: The largest reference string that is made or read.
MAX_PROOFS = 1 << 14
_POWER_BYTES = 2 * (G1_BYTES + 3) + G2_BYTES + 3


def padded_size(proofs: int) -> int:
    """N = max(2, 2^ceil(log2 proofs)): the length of the vectors that are folded."""
    return max(2, 1 << (proofs - 1).bit_length())


@dataclass(frozen=True)
class AggregationVerifierKey:
    """a_g1 = [a]1, b_g1 = [b]1, a_g2 = [a]2, b_g2 = [b]2; max_proofs is a power of two, at least 2.

    These four points fix a and b and with them the whole reference string, so `digest` names it.
    Raises ValueError if a = b, if a or b is 0 or 1, or if the points of G1 and G2 disagree.
    """

    max_proofs: int
    a_g1: G1Point
    b_g1: G1Point
    a_g2: G2Point
    b_g2: G2Point

    def __post_init__(self) -> None:
        if not 2 <= self.max_proofs <= MAX_PROOFS or self.max_proofs & (self.max_proofs - 1):
            raise ValueError(f"max_proofs must be a power of two from 2 to {MAX_PROOFS}")
        if self.a_g1 == self.b_g1:
            raise ValueError("the two reference strings must be independent, and are the same")
        if any(point in (G1Point(), G1Point.identity()) for point in (self.a_g1, self.b_g1)):
            raise ValueError("the secrets of the reference string are degenerate")
        for in_g1, in_g2 in ((self.a_g1, self.a_g2), (self.b_g1, self.b_g2)):
            if not pairing_product_is_one([(in_g1, G2Point()), (-G1Point(), in_g2)]):
                raise ValueError("the points of G1 and G2 are not powers of the same secret")

    def digest(self) -> bytes:
        """32 bytes that identify the reference string."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return digest("pvcnn/aggregation-string", self.to_bytes())

    def to_bytes(self) -> bytes:
        fields = {
            "max_proofs": self.max_proofs,
            "a_g1": encode_g1(self.a_g1),
            "b_g1": encode_g1(self.b_g1),
            "a_g2": encode_g2(self.a_g2),
            "b_g2": encode_g2(self.b_g2),
        }
        return encode(VERIFIER_KEY_FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> AggregationVerifierKey:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, VERIFIER_KEY_FORMAT, VERSION, 1024)
        max_proofs = fields.integer("max_proofs", 2, MAX_PROOFS + 1)
        a_g1, b_g1 = (decode_g1(fields.octets(name, length=G1_BYTES)) for name in ("a_g1", "b_g1"))
        a_g2, b_g2 = (decode_g2(fields.octets(name, length=G2_BYTES)) for name in ("a_g2", "b_g2"))
        fields.finish()
        try:
            return cls(max_proofs, a_g1, b_g1, a_g2, b_g2)
        except ValueError as error:
            raise DecodeError(f"{VERIFIER_KEY_FORMAT}: {error}") from error


@dataclass(frozen=True)
class Powers:
    """Powers of one secret s: g1[i] = [s^i]1 for i < 2 max_proofs, g2[i] = [s^i]2 for i < max_proofs."""

    g1: tuple[G1Point, ...]
    g2: tuple[G2Point, ...]


@dataclass(frozen=True)
class AggregationKey:
    """The aggregator's half. That its points are powers need not be checked: if they are not, the aggregates
    made with them don't verify.

    Raises ValueError for wrong lengths and for what `AggregationVerifierKey` refuses.
    """

    a: Powers
    b: Powers

    def __post_init__(self) -> None:
        for powers in (self.a, self.b):
            if len(powers.g1) != 2 * self.max_proofs or len(powers.g2) != self.max_proofs:
                raise ValueError("the reference string has missing or surplus powers")
        assert self.verifier.max_proofs == self.max_proofs  # made here, so that it raises here

    @property
    def max_proofs(self) -> int:
        return len(self.a.g2)

    @cached_property
    def verifier(self) -> AggregationVerifierKey:
        return AggregationVerifierKey(self.max_proofs, self.a.g1[1], self.b.g1[1], self.a.g2[1], self.b.g2[1])

    def to_bytes(self) -> bytes:
        fields: dict[str, object] = {"max_proofs": self.max_proofs}
        for name, powers in (("a", self.a), ("b", self.b)):
            fields[f"{name}_g1"] = [encode_g1(point) for point in powers.g1[1:]]
            fields[f"{name}_g2"] = [encode_g2(point) for point in powers.g2[1:]]
        return encode(KEY_FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> AggregationKey:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, KEY_FORMAT, VERSION, 1024 + 2 * MAX_PROOFS * _POWER_BYTES)
        max_proofs = fields.integer("max_proofs", 2, MAX_PROOFS + 1)
        encoded = [
            (
                fields.octets_sequence(f"{name}_g1", 2 * max_proofs, G1_BYTES),
                fields.octets_sequence(f"{name}_g2", max_proofs, G2_BYTES),
            )
            for name in ("a", "b")
        ]
        fields.finish()
        if any(len(g1) != 2 * max_proofs - 1 or len(g2) != max_proofs - 1 for g1, g2 in encoded):
            raise DecodeError(f"{KEY_FORMAT}: missing or surplus powers")
        try:
            return cls(*(_decode_powers(g1, g2) for g1, g2 in encoded))
        except ValueError as error:
            raise DecodeError(f"{KEY_FORMAT}: {error}") from error


def _decode_powers(g1: Sequence[bytes], g2: Sequence[bytes]) -> Powers:
    return Powers((G1Point(), *decode_g1_list(g1)), (G2Point(), *decode_g2_list(g2)))


def aggregation_setup(max_proofs: int = 64) -> AggregationKey:
    """A reference string for up to `max_proofs` proofs (rounded up to a power of two, at least 2).

    The secrets a and b exist during the call only. Raises ValueError if max_proofs is not in
    [1, MAX_PROOFS].
    """
    if not 1 <= max_proofs <= MAX_PROOFS:
        raise ValueError(f"max_proofs must lie in [1, {MAX_PROOFS}]")
    size = padded_size(max_proofs)
    a, b = random_scalar(), random_scalar()
    return AggregationKey(_powers_of(a, size), _powers_of(b, size))


def _powers_of(secret: int, size: int) -> Powers:
    exponents = [1]
    for _ in range(2 * size - 1):
        exponents.append(exponents[-1] * secret % SCALAR_MODULUS)
    return Powers(
        tuple(multiples_of_generator_g1(exponents)),
        tuple(multiples_of_generator_g2(exponents[:size])),
    )
