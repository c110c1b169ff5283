"""What the cluster makes of an answer before it proves anything: opened, decrypted and rounded.

The prover's first half, and all that an auditor of the cluster repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.batch import Batch
from pvcnn.campaign.decrypting import FeatureDecryption
from pvcnn.campaign.folder import (
    LABEL_KEY,
    WEIGHTS,
    CampaignFolder,
    read_from_step,
)
from pvcnn.campaign.mail import (
    MAX_BLOB_BYTES,
    SealingKey,
    answer_batch_purpose,
    answer_info,
    collect,
    weights_info,
)
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.sealed_labels import CommittedLabels, open_labels
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.submission import Proceedings, Submission
from pvcnn.errors import DecodeError, SubmissionRefused, VerificationError
from pvcnn.he.decryption import quantise
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.published import decode_published
from pvcnn.program.weights import Weights
from pvcnn.qmp.labels import LabelKey


@dataclass(frozen=True, repr=False)
class OpenedAnswer:
    """Secret. features: (frames, *program.input_shape) integers. labels: where a count is proved."""

    features: NDArray[np.int64]
    labels: CommittedLabels | None


@dataclass(frozen=True, repr=False)
class AnswerReader:
    """Opens answers with the cluster's keys; labels: the label key, where a count is proved."""

    sealing_key: SealingKey
    decryption: FeatureDecryption
    feature_step: float
    program: Program
    labels: LabelKey | None

    def read(self, box: Path, proceedings: Proceedings, submission: Submission) -> OpenedAnswer:
        """The answer to one submission, which lies in the mail `box`.

        Raises CampaignError if it is not there as it was signed, and SubmissionRefused or DecodeError if it
        is not what the owner signed, not a batch of features in the program's range, or has labels that the
        tester did not commit to.
        """
        blob = collect(box, submission.answer.answer_digest)
        place = (proceedings.manifest.digest(), proceedings.registry.digest(), submission.index)
        opened = self.sealing_key.open(blob, answer_info(*place))
        if file_digest(opened) != submission.answer.features_digest:
            raise SubmissionRefused("the sealed features are not those that the owner signed")
        batch = Batch.from_bytes(opened)
        batch.check(proceedings.manifest)
        labels = None
        if self.labels is not None:
            labels = open_labels(batch.labels, self.sealing_key, submission.registration, self.labels)
        purpose = answer_batch_purpose(*place[:2])
        features = [self._features(box, purpose, *each) for each in enumerate(batch.messages)]
        return OpenedAnswer(np.stack(features), labels)

    def _features(self, box: Path, purpose: bytes, number: int, message: bytes) -> NDArray[np.int64]:
        """The integer features of frame `number`, from 0, of a submission: (*program.input_shape,).

        Raises SubmissionRefused, whose `details` name the frame.
        """
        program = self.program
        try:
            decrypted = self.decryption.features(box, purpose, message)
            low, high = program.input_low, program.input_high
            return quantise(decrypted, self.feature_step, low, high).reshape(program.input_shape)
        except (SubmissionRefused, DecodeError) as error:
            details = f"frame {number}: {getattr(error, 'details', '')}"
            raise SubmissionRefused(str(error), details) from error


def open_public_part(
    folder: CampaignFolder, manifest: Manifest, program: Program, sealing_key: SealingKey
) -> PublicPart:
    """With weights that lie in public/, or that the owner sealed to this cluster.

    Whether they are those of the verification key, the caller checks.
    """
    if manifest.publishes_weights:
        data = folder.public.read(WEIGHTS)
        if file_digest(data) != manifest.weights_digest:
            raise VerificationError("the manifest was signed for other published weights")
        return PublicPart(program, decode_published(program, data), published=True)
    sealed = read_from_step(folder.sealed_weights, MAX_BLOB_BYTES, "setup")
    opened = sealing_key.open(sealed, weights_info(manifest.digest()))
    return PublicPart(program, Weights.from_bytes(program, opened))


def read_label_key(folder: CampaignFolder, manifest: Manifest) -> LabelKey:
    """The published label key, which may have other points than the proving key: the caller checks."""
    data = folder.public.read(LABEL_KEY)
    if file_digest(data) != manifest.label_key_digest:
        raise VerificationError("the manifest was signed for another label key")
    key = LabelKey.from_bytes(data)
    if key.frames != manifest.frames:
        raise VerificationError("the label key is for another number of frames")
    return key
