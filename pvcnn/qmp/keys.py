"""The verification key: what a circuit's setup publishes, and the commitment to one model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from pvcnn.algebra.constants import G1_BYTES, G2_BYTES
from pvcnn.algebra.points import G1Point, G2Point, decode_g1, decode_g2, encode_g1, encode_g2
from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.qmp.challenges import CHALLENGES
from pvcnn.qmp.statement import MAX_OUTPUTS

CIRCUIT_FORMAT = "pvcnn-circuit-key"
FORMAT = "pvcnn-verification-key"
VERSION = 2
DIGEST_BYTES = 32
MAX_FRAMES = MAX_OUTPUTS
#: The constant wire and the challenges come before the outputs.
FIXED_PUBLIC_WIRES = 1 + len(CHALLENGES)
#: Those that the verifier sees: the number of gamma points says which.
_SEGMENTS = ("pub", "in", "w", "aux")
_SEGMENTS_WITH_LABELS = ("pub", "in", "w", "lab", "aux")
MAX_BYTES = 4096 + (G1_BYTES + 2) * (FIXED_PUBLIC_WIRES + MAX_OUTPUTS)


@dataclass(frozen=True)
class GammaPoints:
    """[gamma_s]2 for the segments that the verifier sees; lab is one of them where there are labels.

    [gamma_s]1 is published nowhere.
    """

    pub: G2Point
    in_: G2Point
    w: G2Point
    aux: G2Point
    lab: G2Point | None = None

    def by_segment(self) -> dict[str, G2Point]:
        """Those that there are, in the order of the segments."""
        labels = {} if self.lab is None else {"lab": self.lab}
        return {"pub": self.pub, "in": self.in_, "w": self.w, **labels, "aux": self.aux}

    @classmethod
    def of_segments(cls, points: Mapping[str, G2Point]) -> GammaPoints:
        """Inverse of `by_segment`."""
        return cls(points["pub"], points["in"], points["w"], points["aux"], points.get("lab"))


@dataclass(frozen=True)
class CircuitKey:
    """What the setup of one circuit publishes for eq. (11) of docs/protocol.md.

    alpha_g1 = [alpha]1, beta_g2 = [beta]2, delta_g2 = [delta]2; public_g1[i] = [K_i/gamma_pub]1 for
    the wires 1, rho, theta, chi and then the outputs; program_digest (32 bytes) names the program,
    and frames the batch length, of the circuit. weights_digest (32 bytes) names the published weights that
    are coefficients of the circuit (`Weights.published_digest`); it is empty where weights are committed.
    labels_digest (32 bytes) names the points with which labels are committed to
    (`pvcnn.qmp.labels.labels_digest`); it is empty where the program takes none.

    Raises ValueError for a point that does not generate its group, for two equal [gamma_s]2 (a
    commitment could then be moved from one segment to another) or one equal to [delta]2, and for a
    wrong length.
    """

    alpha_g1: G1Point
    beta_g2: G2Point
    gamma_g2: GammaPoints
    delta_g2: G2Point
    public_g1: tuple[G1Point, ...]
    program_digest: bytes
    frames: int
    weights_digest: bytes
    labels_digest: bytes

    def __post_init__(self) -> None:
        g2 = (*self.gamma_g2.by_segment().values(), self.delta_g2)
        if any(left == right for i, left in enumerate(g2) for right in g2[:i]):
            raise ValueError("the gamma points and delta must differ from each other")
        in_g1 = all(_generates_g1(point) for point in (self.alpha_g1, *self.public_g1))
        if not in_g1 or not all(_generates_g2(point) for point in (self.beta_g2, *g2)):
            raise ValueError("every point of the key must generate its group")
        if not 1 <= len(self.public_g1) - FIXED_PUBLIC_WIRES <= MAX_OUTPUTS:
            raise ValueError(f"a circuit has 1 to {MAX_OUTPUTS} outputs")
        if len(self.program_digest) != DIGEST_BYTES:
            raise ValueError(f"a program digest has {DIGEST_BYTES} bytes")
        if len(self.weights_digest) not in (0, DIGEST_BYTES):
            raise ValueError(
                f"a weights digest has {DIGEST_BYTES} bytes, or none where weights are committed"
            )
        if len(self.labels_digest) != (DIGEST_BYTES if self.takes_labels else 0):
            raise ValueError(f"a labels digest has {DIGEST_BYTES} bytes, or none where there are no labels")
        if not 1 <= self.frames <= MAX_FRAMES:
            raise ValueError(f"a batch has 1 to {MAX_FRAMES} frames")

    @property
    def takes_labels(self) -> bool:
        """Whether statements for this key have a commitment to labels."""
        return self.gamma_g2.lab is not None

    @property
    def outputs(self) -> int:
        """How many outputs a statement for this key has."""
        return len(self.public_g1) - FIXED_PUBLIC_WIRES

    def commit(self, weights_commitment: G1Point) -> VerificationKey:
        """The verification key of the model whose weights D_w commits to."""
        shared = {item.name: getattr(self, item.name) for item in fields(CircuitKey)}
        return VerificationKey(**shared, weights_commitment=weights_commitment)

    def to_bytes(self) -> bytes:
        return encode(CIRCUIT_FORMAT, VERSION, self._encoded_fields())

    @classmethod
    def from_bytes(cls, data: bytes) -> CircuitKey:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        taken = decode(data, CIRCUIT_FORMAT, VERSION, MAX_BYTES)
        shared = _take_circuit_fields(taken)
        taken.finish()
        try:
            return CircuitKey(**shared)
        except ValueError as error:
            raise DecodeError(f"{CIRCUIT_FORMAT}: {error}") from error

    def _encoded_fields(self) -> dict[str, Any]:
        return {
            "program_digest": self.program_digest,
            "frames": self.frames,
            "weights_digest": self.weights_digest,
            **({"labels_digest": self.labels_digest} if self.takes_labels else {}),
            "alpha": encode_g1(self.alpha_g1),
            "beta": encode_g2(self.beta_g2),
            "gamma": [encode_g2(point) for point in self.gamma_g2.by_segment().values()],
            "delta": encode_g2(self.delta_g2),
            "public": [encode_g1(point) for point in self.public_g1],
        }


@dataclass(frozen=True)
class VerificationKey(CircuitKey):
    """A circuit's key with D_w, the commitment to the weights of the model that is proved.

    `digest` covers every field, and every challenge depends on it.
    """

    weights_commitment: G1Point

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _generates_g1(self.weights_commitment):
            raise ValueError("weights_commitment must generate G1")

    def digest(self) -> bytes:
        """32 bytes that identify the key."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return digest("pvcnn/verification-key", self.to_bytes())

    def to_bytes(self) -> bytes:
        body = {**self._encoded_fields(), "weights_commitment": encode_g1(self.weights_commitment)}
        return encode(FORMAT, VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> VerificationKey:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        taken = decode(data, FORMAT, VERSION, MAX_BYTES)
        shared = _take_circuit_fields(taken)
        weights_commitment = decode_g1(taken.octets("weights_commitment", length=G1_BYTES))
        taken.finish()
        try:
            return cls(**shared, weights_commitment=weights_commitment)
        except ValueError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error


def _take_circuit_fields(taken: Fields) -> dict[str, Any]:
    gamma = taken.octets_sequence("gamma", len(_SEGMENTS_WITH_LABELS), G2_BYTES)
    public = taken.octets_sequence("public", FIXED_PUBLIC_WIRES + MAX_OUTPUTS, G1_BYTES)
    segments = _SEGMENTS_WITH_LABELS if len(gamma) == len(_SEGMENTS_WITH_LABELS) else _SEGMENTS
    if len(gamma) != len(segments):
        raise DecodeError("a key has four gamma points, or five where there are labels")
    return {
        "program_digest": taken.octets("program_digest", length=DIGEST_BYTES),
        "frames": taken.integer("frames", 1, MAX_FRAMES + 1),
        "weights_digest": taken.octets("weights_digest", max_length=DIGEST_BYTES),
        "labels_digest": taken.octets("labels_digest", DIGEST_BYTES) if "lab" in segments else b"",
        "alpha_g1": decode_g1(taken.octets("alpha", length=G1_BYTES)),
        "beta_g2": decode_g2(taken.octets("beta", length=G2_BYTES)),
        "gamma_g2": GammaPoints.of_segments(dict(zip(segments, map(decode_g2, gamma), strict=True))),
        "delta_g2": decode_g2(taken.octets("delta", length=G2_BYTES)),
        "public_g1": tuple(decode_g1(data) for data in public),
    }


def _generates_g1(point: G1Point) -> bool:
    return bool(point != G1Point.identity() and point.is_in_subgroup())


def _generates_g2(point: G2Point) -> bool:
    return bool(point != G2Point.identity() and point.is_in_subgroup())
