"""What a proof is about: a committed batch of features, the outputs for it, and a context."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pvcnn.algebra.constants import G1_BYTES
from pvcnn.algebra.points import G1Point, decode_g1, encode_g1
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-statement"
VERSION = 1
MAX_OUTPUTS = 1 << 12
MAX_CONTEXT_BYTES = 64
#: Outputs lie in [-limit, limit), far below r, so that no two integers mean the same scalar.
OUTPUT_LIMIT = 1 << 63
MAX_BYTES = 1024 + 9 * MAX_OUTPUTS


@dataclass(frozen=True)
class Statement:
    """The public values of one proof other than the challenges, which follow from them.

    features_commitment: D_in of docs/protocol.md, eq. (8), a point that generates G1.
    outputs: what is revealed, frame by frame: integers in [-2^63, 2^63).
    context: at most 64 bytes that the proof is bound to (a campaign's submission; may be empty).
    labels_commitment: D_lab, a point that generates G1, where the program takes labels; else None.

    Raises TypeError or ValueError if built from anything else.
    """

    features_commitment: G1Point
    outputs: tuple[int, ...]
    context: bytes
    labels_commitment: G1Point | None = None

    def __post_init__(self) -> None:
        self._check_values()
        _require_generator("features_commitment", self.features_commitment)
        if self.labels_commitment is not None:
            _require_generator("labels_commitment", self.labels_commitment)

    @classmethod
    def of_generators(
        cls,
        features_commitment: G1Point,
        outputs: tuple[int, ...],
        context: bytes,
        labels_commitment: G1Point | None = None,
    ) -> Statement:
        """As the constructor, for points that are known to generate G1: many are tested at once for less."""
        made = object.__new__(cls)
        values = (features_commitment, outputs, context, labels_commitment)
        for item, value in zip(fields(cls), values, strict=True):
            object.__setattr__(made, item.name, value)
        made._check_values()
        return made

    def _check_values(self) -> None:
        if not isinstance(self.outputs, tuple) or any(type(value) is not int for value in self.outputs):
            raise TypeError("outputs must be a tuple of integers")
        if not isinstance(self.context, bytes):
            raise TypeError("context must be bytes")
        if not 1 <= len(self.outputs) <= MAX_OUTPUTS:
            raise ValueError(f"a statement has 1 to {MAX_OUTPUTS} outputs")
        if any(not -OUTPUT_LIMIT <= value < OUTPUT_LIMIT for value in self.outputs):
            raise ValueError("outputs must lie in [-2^63, 2^63)")
        if len(self.context) > MAX_CONTEXT_BYTES:
            raise ValueError(f"the context has more than {MAX_CONTEXT_BYTES} bytes")

    def to_bytes(self) -> bytes:
        body: dict[str, Any] = {
            "features_commitment": encode_g1(self.features_commitment),
            "outputs": list(self.outputs),
            "context": self.context,
        }
        if self.labels_commitment is not None:
            body["labels_commitment"] = encode_g1(self.labels_commitment)
        return encode(FORMAT, VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Statement:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        taken = decode(data, FORMAT, VERSION, MAX_BYTES)
        commitment = taken.octets("features_commitment", length=G1_BYTES)
        outputs = taken.integer_sequence("outputs", MAX_OUTPUTS, -OUTPUT_LIMIT, OUTPUT_LIMIT)
        context = taken.octets("context", max_length=MAX_CONTEXT_BYTES)
        labels = (
            decode_g1(taken.octets("labels_commitment", length=G1_BYTES))
            if taken.holds("labels_commitment")
            else None
        )
        taken.finish()
        if not outputs:
            raise DecodeError(f"{FORMAT}: a statement has at least one output")
        return cls(decode_g1(commitment), tuple(outputs), context, labels)


def _require_generator(name: str, point: G1Point) -> None:
    if not isinstance(point, G1Point):
        raise TypeError(f"{name} must be a point of G1")
    if point == G1Point.identity() or not point.is_in_subgroup():
        raise ValueError(f"{name} must generate G1")
