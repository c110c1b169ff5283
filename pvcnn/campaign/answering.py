"""How the owner answers submissions: frame by frame, or batches of frames in slots, each as a whole.

Which, the campaign's encryption plan says. An auditor who is shown the owner's secrets answers likewise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeAlias

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.audit_secret import AuditSecret, batch_hiding, frame_seed
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.frame_place import FramePlace, read_places
from pvcnn.campaign.identity import SECRET_MODE
from pvcnn.campaign.mail import SealingKey, answer_batch_purpose, upload_batch_purpose
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.sealed_rows import SealedRows, name_of, post_rows, rows_path
from pvcnn.campaign.signed import DIGEST_BYTES, file_digest
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.files import read_bounded, write_atomically
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.frame_slots.processes import ParallelEvaluator
from pvcnn.he.frame_slots.rows import feature_rows, pixel_rows
from pvcnn.he.plans import FramePlan

#: What evaluates the private part under a plan of either kind.
PrivateEvaluator: TypeAlias = Evaluator | ParallelEvaluator
#: Told how many rows of a batch's answer are made, and of how many.
RowProgress: TypeAlias = Callable[[int, int], None]


class Answering(Protocol):
    """Answers the submissions of one registry."""

    def answer(self, index: int, upload: bytes, seed: bytes) -> Batch:
        """What the owner answers, under the answer's seed: the same for the same seed.

        upload: as its tester sealed it. Raises DecodeError and SubmissionRefused, whose `details` name the
        frame, for what is refused as a whole; CampaignError for a batch that is not there as it was signed.
        """


class AnswerBox(Protocol):
    """Where answers to batches go."""

    def find(self, tester: bytes, batch: bytes) -> bytes | None:
        """The name of the answer to a tester's batch, if it is there."""

    def keep(self, tester: bytes, batch: bytes, count: int, rows: Iterator[bytes]) -> bytes:
        """Takes the rows of the answer to a tester's batch, and names it."""


@dataclass(frozen=True)
class AnsweredByFrame:
    """Every frame has an answer of its own."""

    evaluator: Evaluator
    proceedings: Proceedings

    def answer(self, index: int, upload: bytes, seed: bytes) -> Batch:
        batch = Batch.from_bytes(upload)
        batch.check(self.proceedings.manifest)
        registry_digest = self.proceedings.registry.digest()
        features = []
        for frame, message in enumerate(batch.messages):
            try:
                hidden_by = frame_seed(seed, registry_digest, index, frame)
                features.append(self.evaluator.evaluate(message, hidden_by))
            except (SubmissionRefused, DecodeError) as error:
                details = f"frame {frame}: {getattr(error, 'details', '')}"
                raise SubmissionRefused(str(error), details) from error
        return Batch(tuple(features), batch.labels)


@dataclass(frozen=True, repr=False)
class AnsweredByBatch:
    """All registered frames of a batch are answered at once, by the first submission that has one of them."""

    evaluator: ParallelEvaluator
    proceedings: Proceedings
    box: Path
    sealing_key: SealingKey
    answers: AnswerBox
    progress: RowProgress
    _answered: dict[tuple[bytes, bytes, bytes], bytes | str] = field(default_factory=dict)

    def answer(self, index: int, upload: bytes, seed: bytes) -> Batch:
        submitted = Batch.from_bytes(upload)
        submitted.check(self.proceedings.manifest)
        batch, places = read_places(self.evaluator.plan, submitted.messages)
        answer = self._answer_to(self.proceedings.registry.registrations[index].signer, batch, seed)
        return Batch(tuple(FramePlace(answer, place).to_bytes() for place in places), submitted.labels)

    def _answer_to(self, tester: bytes, batch: bytes, seed: bytes) -> bytes:
        """The name of the answer to a batch. What is wrong with a batch is so for all submissions in it."""
        known = self._answered.get((tester, batch, seed))
        if known is None:
            known = self.answers.find(tester, batch)
        if known is None:
            try:
                known = self._evaluated(tester, batch, seed)
            except (SubmissionRefused, DecodeError) as error:
                known = str(error)
        self._answered[tester, batch, seed] = known
        if isinstance(known, str):
            raise SubmissionRefused(known, f"batch {batch.hex()}")
        return known

    def _evaluated(self, tester: bytes, batch: bytes, seed: bytes) -> bytes:
        plan, proceedings = self.evaluator.plan, self.proceedings
        purpose = upload_batch_purpose(proceedings.manifest.digest(), tester)
        upload = SealedRows(self.box, batch, self.sealing_key, purpose, plan, pixel_rows(plan))
        hidden_by = batch_hiding(seed, proceedings.registry.digest(), batch)
        rows = self.evaluator.rows(upload, hidden_by, sorted(self._registered[tester, batch]))
        count = feature_rows(plan).rows
        return self.answers.keep(tester, batch, count, self._telling(rows, count))

    def _telling(self, rows: Iterator[bytes], count: int) -> Iterator[bytes]:
        for number, row in enumerate(rows, 1):
            yield row
            self.progress(number, count)

    @cached_property
    def _registered(self) -> dict[tuple[bytes, bytes], set[int]]:
        """For testers and their batches, the places of all frames that are registered.

        Raises CampaignError if an upload is not there as it was registered.
        """
        found: dict[tuple[bytes, bytes], set[int]] = defaultdict(set)
        manifest = self.proceedings.manifest
        for registration in self.proceedings.registry.registrations:
            try:
                upload = open_upload(self.box, self.sealing_key, manifest.digest(), registration)
                submitted = Batch.from_bytes(upload)
                submitted.check(manifest)
                batch, places = read_places(self.evaluator.plan, submitted.messages)
            except (SubmissionRefused, DecodeError):
                continue  # refused when its turn comes
            found[registration.signer, batch].update(places)
        return found


@dataclass(frozen=True)
class AnswerMail:
    """The cluster's mail: answers are sealed there, and remembered by the batches that they answer.

    An answer follows from batch and seed, so one that is made twice, by processes beside each other or after
    an interruption, comes out the same and has the same name.
    """

    box: Path
    remembered: Path
    sealing_key: bytes
    purpose: bytes

    def find(self, tester: bytes, batch: bytes) -> bytes | None:
        """None too if the answer is not in the mail any more: it is made again then."""
        note = self._note(tester, batch)
        if not note.is_file():
            return None
        answer = read_bounded(note, DIGEST_BYTES)
        return answer if rows_path(self.box, answer).is_file() else None

    def keep(self, tester: bytes, batch: bytes, count: int, rows: Iterator[bytes]) -> bytes:
        answer = post_rows(self.box, self.sealing_key, self.purpose, count, rows)
        write_atomically(self._note(tester, batch), answer, SECRET_MODE)
        return answer

    def _note(self, tester: bytes, batch: bytes) -> Path:
        return self.remembered / f"batch-{batch.hex()}-{file_digest(tester).hex()[:16]}"


class OnlyNamed:
    """For an auditor, who compares names and keeps nothing."""

    def find(self, tester: bytes, batch: bytes) -> bytes | None:
        return None

    def keep(self, tester: bytes, batch: bytes, count: int, rows: Iterator[bytes]) -> bytes:
        return name_of(rows)


def seed_of(
    plan: FramePlan, audit: AuditSecret, registry: Registry, index: int, upload: bytes = b""
) -> bytes:
    """Of what hides the owner's answer to submission `index`, whose upload this is: an audit shows the seed.

    All submissions in a batch of frames in slots share the batch's, which is then shown for all of them. Only
    for these the upload matters; one that lies in no batch is refused, and nothing is hidden by its seed.
    """
    registration = registry.registrations[index]
    if not isinstance(plan, EncryptionPlan):
        with suppress(DecodeError, SubmissionRefused):
            batch, _ = read_places(plan, Batch.from_bytes(upload).messages)
            return audit.batch_seed(registry.digest(), registration.signer, batch)
    return audit.answer_seed(registry.digest(), index, registration.upload_digest)


def answer_mail(
    folder: CampaignFolder, remembered: Path, proceedings: Proceedings, sealing_key: bytes
) -> AnswerMail:
    """That of a campaign, to the cluster whose sealing key this is."""
    purpose = answer_batch_purpose(proceedings.manifest.digest(), proceedings.registry.digest())
    return AnswerMail(folder.mail("cluster"), remembered, sealing_key, purpose)


def answering(
    evaluator: PrivateEvaluator,
    proceedings: Proceedings,
    box: Path,
    sealing_key: SealingKey,
    answers: AnswerBox,
    progress: RowProgress = lambda done, count: None,
) -> Answering:
    """As the evaluator's plan has it. box, sealing_key: the owner's mail, and what opens it."""
    if isinstance(evaluator, ParallelEvaluator):
        return AnsweredByBatch(evaluator, proceedings, box, sealing_key, answers, progress)
    return AnsweredByFrame(evaluator, proceedings)
