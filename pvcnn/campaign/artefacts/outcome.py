"""What the cluster hands to the aggregator for one context: a proof, or its signed refusal.

One file holds either, and the first complete file wins, so no submission is both proved and refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.artefacts.answer import ClusterRefusal
from pvcnn.campaign.artefacts.folder import REFUSALS, STATEMENTS
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.submission import Submission
from pvcnn.encoding import decode, encode
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import PROOF_BYTES, Proof
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.verifier import verify

FORMAT = "pvcnn-outcome"
VERSION = 1
MAX_BYTES = STATEMENTS.max_bytes + REFUSALS.max_bytes


@dataclass(frozen=True)
class ClusterOutcome:
    """Exactly one of `proof`, with its statement attached, and `refusal`."""

    proof: Proof | None = None
    refusal: ClusterRefusal | None = None

    def __post_init__(self) -> None:
        if (self.proof is None) == (self.refusal is None):
            raise ValueError("an outcome is either a proof or a refusal")

    def to_bytes(self) -> bytes:
        if self.proof is not None:
            content = {"statement": self.proof.statement.to_bytes(), "proof": self.proof.to_bytes()}
        else:
            assert self.refusal is not None
            content = {"refusal": self.refusal.to_bytes()}
        return encode(FORMAT, VERSION, {"proved": self.proof is not None, **content})

    @classmethod
    def from_bytes(cls, data: bytes) -> ClusterOutcome:
        """Raises DecodeError, and VerificationError if a refusal's signature is wrong."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        if not fields.boolean("proved"):
            refusal = ClusterRefusal.from_bytes(fields.octets("refusal", max_length=REFUSALS.max_bytes))
            fields.finish()
            return cls(refusal=refusal)
        statement = fields.octets("statement", max_length=STATEMENTS.max_bytes)
        proof = fields.octets("proof", PROOF_BYTES)
        fields.finish()
        return cls(proof=Proof.from_bytes(proof, Statement.from_bytes(statement)))


def check_outcome(
    outcome: ClusterOutcome, submission: Submission, key: VerificationKey, cluster_key: bytes
) -> None:
    """Raises VerificationError unless the outcome is valid and for this submission.

    cluster_key: the Ed25519 key on the cluster's card, under which it signs refusals.
    """
    if outcome.proof is not None:
        if outcome.proof.statement.context != submission.context:
            raise VerificationError("the proof is for another submission")
        check_labels(outcome.proof.statement, submission.registration)
        verify(key, outcome.proof.statement, outcome.proof)
    elif outcome.refusal is not None:
        refusal = outcome.refusal
        if (refusal.signer, refusal.context) != (cluster_key, submission.context):
            raise VerificationError("the refusal is not this cluster's or for another submission")


def check_labels(statement: Statement, registration: Registration) -> None:
    """Raises VerificationError for a D_lab that is not the one that the tester registered.

    Whether there must be one, key and manifest say.
    """
    committed = statement.labels_commitment
    if committed is not None and encode_g1(committed) != registration.label_commitment:
        raise VerificationError("the proof is about other labels than the tester committed to")
