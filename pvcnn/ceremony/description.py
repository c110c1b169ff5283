"""What a ceremony is about: the first link of its chain. docs/ceremony.md, section "Two ceremonies"."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pvcnn.aggregate.reference_string import MAX_PROOFS, padded_size
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.encoding import Fields, decode, encode, read_map
from pvcnn.errors import DecodeError

POWERS_FORMAT: Final = "pvcnn-powers-ceremony"
CIRCUIT_FORMAT: Final = "pvcnn-circuit-ceremony"
VERSION: Final = 1
MAX_BYTES: Final = 4096
DIGEST_BYTES: Final = 32
NONCE_BYTES: Final = 32
#: Of the domain that powers serve: 2^24 constraints are states of 9.7 GB.
MAX_DOMAIN_LOG2: Final = 24
MAX_SEGMENTS: Final = 16
MAX_SEGMENT_NAME: Final = 16
_MAX_FRAMES: Final = 1 << 16

Point: TypeAlias = "G1Point | G2Point"


@dataclass(frozen=True)
class Secret:
    """One of a ceremony's secrets, and the degree (1: G1, 2: G2) of the point that follows it.

    This point is the secret, as all contributions so far have made it, times `generator`; only that of an
    eta_s is [eta_s/delta]1.
    """

    name: str
    degree: int

    @property
    def generator(self) -> Point:
        return G1Point() if self.degree == 1 else G2Point()


@dataclass(frozen=True)
class PowersDescription:
    """Powers for circuits of up to 2^domain_log2 constraints, and strings for max_proofs proofs.

    state: SHA-256 of the state that the first contribution starts from. nonce: 32 random bytes.
    """

    domain_log2: int
    max_proofs: int
    state: bytes
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(Secret(name, 1) for name in ("tau", "alpha", "beta", "a", "b"))

    @property
    def distinct(self) -> tuple[tuple[str, ...], ...]:
        """Secrets that must differ from each other."""
        return (("a", "b"),)

    def ratios(self, factors: Mapping[str, int]) -> dict[str, int]:
        """By what the secrets' points are multiplied if the secrets are by `factors`."""
        return dict(factors)

    def to_bytes(self) -> bytes:
        fields = {
            "domain_log2": self.domain_log2,
            "max_proofs": self.max_proofs,
            "state": self.state,
            "nonce": self.nonce,
        }
        return encode(POWERS_FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> PowersDescription:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, POWERS_FORMAT, VERSION, MAX_BYTES)
        made = cls(
            fields.integer("domain_log2", 1, MAX_DOMAIN_LOG2 + 1),
            fields.integer("max_proofs", 2, MAX_PROOFS + 1),
            fields.octets("state", DIGEST_BYTES),
            fields.octets("nonce", NONCE_BYTES),
        )
        fields.finish()
        if made.max_proofs != padded_size(made.max_proofs):
            raise DecodeError(f"{POWERS_FORMAT}: max_proofs is not a power of two")
        return made

    def digest(self) -> bytes:
        """SHA-256 of the encoding: what the first contribution builds on."""
        return hashlib.sha256(self.to_bytes()).digest()


@dataclass(frozen=True)
class CircuitDescription:
    """Keys for one circuit on top of powers whose ceremony is closed.

    powers: digest of the last contribution to those; program_digest, frames, weights_digest: name the
    circuit, as in its key; committed: its committed segments, in order; base, state: SHA-256 of the files
    that the powers and the circuit determine (docs/ceremony.md).
    """

    powers: bytes
    program_digest: bytes
    frames: int
    weights_digest: bytes
    committed: tuple[str, ...]
    base: bytes
    state: bytes
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))

    @property
    def visible(self) -> tuple[str, ...]:
        """The segments that have a gamma."""
        return ("pub", *self.committed)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        gammas = (Secret(gamma_name(segment), 2) for segment in self.visible)
        etas = (Secret(eta_name(segment), 1) for segment in self.committed)
        return (Secret("delta", 2), *gammas, *etas)

    @property
    def distinct(self) -> tuple[tuple[str, ...], ...]:
        """Secrets that must differ from each other."""
        return (("delta", *(gamma_name(segment) for segment in self.visible)),)

    def ratios(self, factors: Mapping[str, int]) -> dict[str, int]:
        """By what the secrets' points are multiplied if the secrets are by `factors`: those of an eta by
        the quotient of its factor and delta's."""
        per_delta = pow(factors["delta"], -1, SCALAR_MODULUS)
        etas = {eta_name(s): factors[eta_name(s)] * per_delta % SCALAR_MODULUS for s in self.committed}
        return {**factors, **etas}

    def to_bytes(self) -> bytes:
        fields = {
            "powers": self.powers,
            "program_digest": self.program_digest,
            "frames": self.frames,
            "weights_digest": self.weights_digest,
            "committed": list(self.committed),
            "base": self.base,
            "state": self.state,
            "nonce": self.nonce,
        }
        return encode(CIRCUIT_FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> CircuitDescription:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, CIRCUIT_FORMAT, VERSION, MAX_BYTES)
        made = cls(
            fields.octets("powers", DIGEST_BYTES),
            fields.octets("program_digest", DIGEST_BYTES),
            fields.integer("frames", 1, _MAX_FRAMES),
            fields.octets("weights_digest", max_length=DIGEST_BYTES),
            _segment_names(fields),
            fields.octets("base", DIGEST_BYTES),
            fields.octets("state", DIGEST_BYTES),
            fields.octets("nonce", NONCE_BYTES),
        )
        fields.finish()
        if len(made.weights_digest) not in (0, DIGEST_BYTES):
            raise DecodeError(f"{CIRCUIT_FORMAT}: a weights digest has {DIGEST_BYTES} bytes or none")
        return made

    def digest(self) -> bytes:
        """SHA-256 of the encoding: what the first contribution builds on."""
        return hashlib.sha256(self.to_bytes()).digest()


Description: TypeAlias = "PowersDescription | CircuitDescription"


def description_from_bytes(data: bytes) -> Description:
    """Either of the two. Raises DecodeError for anything else."""
    name = read_map(data, "ceremony", MAX_BYTES).get("format")
    if name == CIRCUIT_FORMAT:
        return CircuitDescription.from_bytes(data)
    return PowersDescription.from_bytes(data)


def gamma_name(segment: str) -> str:
    """The name of the secret gamma_s."""
    return f"gamma_{segment}"


def eta_name(segment: str) -> str:
    """The name of the secret eta_s."""
    return f"eta_{segment}"


def _segment_names(fields: Fields) -> tuple[str, ...]:
    names = fields.sequence("committed", MAX_SEGMENTS)
    if any(not isinstance(each, str) or not 0 < len(each) <= MAX_SEGMENT_NAME for each in names):
        raise DecodeError(f"{CIRCUIT_FORMAT}: a committed segment has no proper name")
    if len({"pub", *names}) != 1 + len(names) or not all(map(_is_word, names)):
        raise DecodeError(f"{CIRCUIT_FORMAT}: the committed segments' names are not distinct words")
    return tuple(names)


def _is_word(name: str) -> bool:
    return name.isascii() and name.isalpha() and name.islower()
