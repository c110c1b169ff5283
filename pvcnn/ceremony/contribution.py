"""One link of a ceremony's chain: who multiplied the secrets, what came of it, and that they knew by what."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from pvcnn.algebra.constants import G1_BYTES, G2_BYTES, SCALAR_BYTES
from pvcnn.ceremony.beacon import (
    MAX_LOG2_ITERATIONS,
    MAX_VALUE_BYTES,
    MIN_LOG2_ITERATIONS,
    Beacon,
)
from pvcnn.ceremony.description import DIGEST_BYTES, MAX_SEGMENTS, Point
from pvcnn.ceremony.knowledge import Proof, decode_point, encode_point
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError

FORMAT: Final = "pvcnn-ceremony-contribution"
VERSION: Final = 1
MAX_CONTRIBUTIONS: Final = 1024
MAX_NAME: Final = 64
_MAX_SECRETS: Final = 2 * MAX_SEGMENTS + 2
MAX_BYTES: Final = 1024 + _MAX_SECRETS * (2 * G2_BYTES + SCALAR_BYTES + 8)
#: The name under which a beacon stands in the chain.
BEACON_NAME: Final = "beacon"


@dataclass(frozen=True)
class Contribution:
    """number: from 1. previous: digest of the contribution before it, or of the ceremony's description.

    state: SHA-256 of the state it leaves. points: those of the secrets after it, in the description's
    order. proofs: of knowledge, one a secret; none if it is the beacon's.

    Raises ValueError for a name that is not printable, or empty, or the beacon's but of no beacon.
    """

    number: int
    name: str
    previous: bytes
    state: bytes
    points: tuple[Point, ...]
    proofs: tuple[Proof, ...]
    beacon: Beacon | None = None

    def __post_init__(self) -> None:
        if (
            not 0 < len(self.name) <= MAX_NAME
            or not self.name.isprintable()
            or self.name.strip() != self.name
        ):
            raise ValueError(f"a contributor's name is one printable line of at most {MAX_NAME} characters")
        if (self.name == BEACON_NAME) != (self.beacon is not None):
            raise ValueError(f"the name {BEACON_NAME!r} is the beacon's")
        if self.beacon is not None and self.proofs:
            raise ValueError("a beacon's secrets are public: there is nothing to prove")

    def digest(self) -> bytes:
        """SHA-256 of the encoding: what the next contribution builds on."""
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        fields = {
            "number": self.number,
            "name": self.name,
            "previous": self.previous,
            "state": self.state,
            "points": [encode_point(point) for point in self.points],
            "proofs": [proof.to_bytes() for proof in self.proofs],
            "beacon": self.beacon.value if self.beacon else b"",
            "log2_iterations": self.beacon.log2_iterations if self.beacon else 0,
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> Contribution:
        """Inverse of `to_bytes`; points are in their groups and no identities. DecodeError for all else."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        number = fields.integer("number", 1, MAX_CONTRIBUTIONS + 1)
        name = fields.text("name", MAX_NAME)
        previous = fields.octets("previous", DIGEST_BYTES)
        state = fields.octets("state", DIGEST_BYTES)
        points = [decode_point(each) for each in _byte_strings(fields, "points", (G1_BYTES, G2_BYTES))]
        sizes = (G1_BYTES + SCALAR_BYTES, G2_BYTES + SCALAR_BYTES)
        proofs = [Proof.from_bytes(each) for each in _byte_strings(fields, "proofs", sizes)]
        beacon = _beacon(fields)
        fields.finish()
        try:
            return cls(number, name, previous, state, tuple(points), tuple(proofs), beacon)
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is one printable line, not empty, without spaces at its ends."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name.strip() != name:
        raise ValueError(f"a contributor's name is one printable line of at most {MAX_NAME} characters")


def _byte_strings(fields: Fields, name: str, sizes: tuple[int, int]) -> list[bytes]:
    items = fields.sequence(name, _MAX_SECRETS)
    if any(not isinstance(item, bytes) or len(item) not in sizes for item in items):
        raise DecodeError(
            f"{FORMAT}: field {name!r} must hold byte strings of {sizes[0]} or {sizes[1]} bytes"
        )
    return items


def _beacon(fields: Fields) -> Beacon | None:
    value = fields.octets("beacon", max_length=MAX_VALUE_BYTES)
    if not value:
        fields.integer("log2_iterations", 0, 1)
        return None
    iterations = fields.integer("log2_iterations", MIN_LOG2_ITERATIONS, MAX_LOG2_ITERATIONS + 1)
    try:
        return Beacon(value, iterations)
    except ValueError as error:
        raise DecodeError(f"{FORMAT}: {error}") from error
