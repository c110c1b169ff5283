"""What a tester needs to commit to labels before anybody proves: docs/protocol.md, eq. (8) for s = lab.

    D_lab = sum_i label_i [K_i/gamma_lab]1 + nu_lab [eta_lab/gamma_lab]1

Hiding, because nu_lab is uniform and [eta_lab/gamma_lab]1 generates G1, whoever made the key. Binding, as
long as nobody knows the setup's secrets (`pvcnn.qmp.commitments`) and the points are the circuit's: whoever
hands out others could have the labels of two frames change places, by exchanging their points, or add some
up. Hence `check_label_key`, with the verification key that the proofs will be checked with.

Needs none of the prover's kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvcnn.algebra.constants import G1_BYTES, SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, decode_g1, encode_g1, linear_combination_g1
from pvcnn.algebra.transcript import digest
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, RangeError, VerificationError
from pvcnn.qmp.keys import MAX_FRAMES, CircuitKey

FORMAT = "pvcnn-label-key"
VERSION = 1
#: As many as a program may have logits.
MAX_CLASSES = 1 << 20
MAX_BYTES = 1024 + (G1_BYTES + 2) * MAX_FRAMES


@dataclass(frozen=True)
class LabelKey:
    """For labels of `len(points)` frames, integers in [0, classes).

    points: [K_i/gamma_lab]1, one a frame; blinding_point: [eta_lab/gamma_lab]1. Raises ValueError for a point
    that does not generate G1, and for other than 1 to 4096 frames and 2 to 2^20 classes.
    """

    classes: int
    points: tuple[G1Point, ...]
    blinding_point: G1Point

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= MAX_CLASSES:
            raise ValueError(f"labels have 2 to {MAX_CLASSES} classes")
        if not 1 <= len(self.points) <= MAX_FRAMES:
            raise ValueError(f"a batch has 1 to {MAX_FRAMES} frames")
        for point in (*self.points, self.blinding_point):
            if point == G1Point.identity() or not point.is_in_subgroup():
                raise ValueError("every point of the key must generate G1")

    @property
    def frames(self) -> int:
        return len(self.points)

    def to_bytes(self) -> bytes:
        fields = {
            "classes": self.classes,
            "points": [encode_g1(point) for point in self.points],
            "blinding_point": encode_g1(self.blinding_point),
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelKey:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        classes = fields.integer("classes", 2, MAX_CLASSES + 1)
        points = fields.octets_sequence("points", MAX_FRAMES, G1_BYTES)
        blinding_point = fields.octets("blinding_point", length=G1_BYTES)
        fields.finish()
        if not points:
            raise DecodeError(f"{FORMAT}: a batch has at least one frame")
        return cls(classes, tuple(map(decode_g1, points)), decode_g1(blinding_point))


def labels_digest(points: Sequence[G1Point], blinding_point: G1Point) -> bytes:
    """32 bytes that name the points of a label key: circuit keys hold them."""
    return digest("pvcnn/label-points", *map(encode_g1, (blinding_point, *points)))


def check_label_key(key: CircuitKey, label_key: LabelKey) -> None:
    """Raises VerificationError unless `label_key` has the points with which `key` has labels committed to."""
    if not key.takes_labels:
        raise VerificationError("the key takes no labels")
    if labels_digest(label_key.points, label_key.blinding_point) != key.labels_digest:
        raise VerificationError("the label key is not that of this circuit: its points are others")


def commit_labels(key: LabelKey, labels: Sequence[int], blinding: int) -> G1Point:
    """D_lab, with a `key` that `check_label_key` has found to be the circuit's.

    `blinding` is nu_lab, in [1, r): secret, from `random_scalar`, and drawn for these labels alone. Raises
    ValueError for another number of labels or a blinding out of range, and RangeError for a label that is no
    class.
    """
    if len(labels) != key.frames:
        raise ValueError(f"the key is for labels of {key.frames} frames, got {len(labels)}")
    if not 1 <= blinding < SCALAR_MODULUS:
        raise ValueError("the blinding must be a scalar in [1, r)")
    values = [int(label) for label in labels]
    for frame, label in enumerate(values):
        if not 0 <= label < key.classes:
            raise RangeError(f"label of frame {frame}: {label} is not a class from 0 to {key.classes - 1}")
    return linear_combination_g1([*key.points, key.blinding_point], [*values, blinding])
