"""Labels on their way from a tester to the cluster, where only their agreement with decisions is revealed.

They travel within the tester's upload and the owner's answer, sealed to the cluster for one submission, so
the owner passes on what it cannot read. All letters for as many frames have the same length.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.algebra.constants import SCALAR_BYTES, SCALAR_MODULUS
from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.artefacts.commitments import LABEL_BYTES
from pvcnn.campaign.artefacts.mail import SealingKey, labels_info, seal
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, RangeError, SubmissionRefused
from pvcnn.qmp.keys import MAX_FRAMES
from pvcnn.qmp.labels import LabelKey, commit_labels

FORMAT = "pvcnn-labels"
VERSION = 1
MAX_BYTES = 1024 + LABEL_BYTES * MAX_FRAMES
#: With what HPKE adds.
MAX_SEALED = MAX_BYTES + 64


@dataclass(frozen=True, repr=False)
class CommittedLabels:
    """Secret: labels of a submission's frames and nu_lab, which open D_lab (docs/protocol.md, eq. (8))."""

    labels: tuple[int, ...]
    blinding: int

    def commitment(self, key: LabelKey) -> bytes:
        """D_lab, encoded. Raises ValueError for labels that the key does not take."""
        return encode_g1(commit_labels(key, self.labels, self.blinding))

    def to_bytes(self) -> bytes:
        encoded = b"".join(label.to_bytes(LABEL_BYTES, "little") for label in self.labels)
        blinding = self.blinding.to_bytes(SCALAR_BYTES, "little")
        return encode(FORMAT, VERSION, {"labels": encoded, "blinding": blinding})

    @classmethod
    def from_bytes(cls, data: bytes) -> CommittedLabels:
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        encoded = fields.octets("labels", max_length=LABEL_BYTES * MAX_FRAMES)
        blinding = int.from_bytes(fields.octets("blinding", SCALAR_BYTES), "little")
        fields.finish()
        if len(encoded) % LABEL_BYTES or not 1 <= blinding < SCALAR_MODULUS:
            raise DecodeError(f"{FORMAT}: not whole labels with a scalar")
        pieces = (encoded[start : start + LABEL_BYTES] for start in range(0, len(encoded), LABEL_BYTES))
        return cls(tuple(int.from_bytes(piece, "little") for piece in pieces), blinding)

    def sealed(self, cluster_key: bytes, manifest_digest: bytes, tester_key: bytes, nonce: bytes) -> bytes:
        """For the cluster whose X25519 key this is, and for one submission of one tester."""
        return seal(cluster_key, self.to_bytes(), labels_info(manifest_digest, tester_key, nonce))


def open_labels(
    sealed: bytes, sealing_key: SealingKey, registration: Registration, label_key: LabelKey
) -> CommittedLabels:
    """What the tester of this registration sealed to the cluster, if it opens the D_lab registered.

    Raises SubmissionRefused if it does not, or was sealed by or for someone else, and DecodeError. So
    whoever registers another tester's D_lab gets no proof: it cannot say what is in it.
    """
    info = labels_info(registration.manifest_digest, registration.signer, registration.nonce)
    opened = CommittedLabels.from_bytes(sealing_key.open(sealed, info))
    try:
        commitment = opened.commitment(label_key)
    except (ValueError, RangeError) as error:
        raise SubmissionRefused("the labels are not labels of this campaign", str(error)) from error
    if commitment != registration.label_commitment:
        raise SubmissionRefused("the labels are not those that the tester committed to")
    return opened
