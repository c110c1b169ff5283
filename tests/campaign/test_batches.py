"""Submissions of several frames: one upload, one answer, one proof, and decisions frame by frame."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.batch import Batch, most_frames
from pvcnn.campaign.artefacts.folder import LABELS, MANIFEST, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.roles.tester import TesterRole as RoleOfTester
from pvcnn.campaign.status import read_status
from pvcnn.campaign.verification.auditor import verify
from pvcnn.campaign.verification.report import Status
from pvcnn.encoding import encode
from pvcnn.errors import DecodeError, SubmissionRefused, VerificationError
from pvcnn.qmp.keys import MAX_FRAMES
from tests.campaign.artefacts import manifest
from tests.campaign.dishonest import encrypted, plan_of
from tests.campaign.tiny import (
    Played,
    frames,
    play,
    prepare,
    private_part,
    prove_all,
    public_part,
    surely_decided,
)

BATCH = 3
PICTURES = frames(BATCH, 9)


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> tuple[CampaignFolder, str]:
    """A campaign for submissions of three frames after `setup`, and the cluster's fingerprint."""
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("waiting") / "campaign", batch=BATCH)
    return folder, fingerprint


@pytest.fixture
def open_campaign(waiting: tuple[CampaignFolder, str], tmp_path: Path) -> tuple[CampaignFolder, str]:
    shutil.copytree(waiting[0].root, tmp_path / "open")
    return CampaignFolder(tmp_path / "open"), waiting[1]


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two testers with a submission of three frames each, labels opened. Not to be changed."""
    return play(tmp_path_factory.mktemp("batched") / "campaign", testers=2, each=1, batch=BATCH)


@pytest.fixture
def tampered(batched: Played, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(batched.folder.root, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


def test_each_decision_is_that_of_its_frame(open_campaign: tuple[CampaignFolder, str]) -> None:
    folder, fingerprint = open_campaign
    decided = surely_decided(3)
    given = [decided[1][0], decided[0][0], decided[0][1]]
    RoleOfTester.create(folder, "ann").encrypt_batch(given, [1, 1, 0], fingerprint)
    RoleOfTester.create(folder, "bob").encrypt_batch(given[::-1], None, fingerprint)
    owner = OwnerRole.open(folder.root)
    owner.close_registry()
    for index in range(2):
        assert not owner.infer(index).refused
    assert not prove_all(folder, 2)
    aggregate_campaign(folder)
    RoleOfTester.open(folder, "ann").open_labels()
    verdict = verify(folder.root)
    assert verdict.verified
    assert sorted(outcome.decisions for outcome in verdict.outcomes) == [(0, 0, 1), (1, 0, 0)]
    assert verdict.accuracy() == (2, 3)
    assert verdict.to_json()["frames"] == 2 * BATCH


def test_a_campaign_of_batches_verifies(batched: Played) -> None:
    verdict = verify(batched.folder.root)
    assert (verdict.verified, verdict.registered, verdict.frames, verdict.all_frames) == (True, 2, 3, 6)
    assert [len(outcome.decisions) for outcome in verdict.outcomes] == [BATCH, BATCH]
    assert verdict.accuracy()[1] == 2 * BATCH
    status = read_status(batched.folder.root)
    assert (status.frames, len(status.submissions)) == (BATCH, 2)


class TestTheTestersCount:
    @pytest.mark.parametrize(
        ("count", "words"), [(1, "1 given, 2 missing"), (2, "1 missing"), (4, "4 given, 1 too many")]
    )
    def test_frames_missing_or_too_many(
        self, open_campaign: tuple[CampaignFolder, str], count: int, words: str
    ) -> None:
        folder, fingerprint = open_campaign
        tester = RoleOfTester.create(folder, "ann")
        with pytest.raises(ValueError, match=f"has 3 frames: .*{words}"):
            tester.encrypt_batch(frames(count, 9), [1] * count, fingerprint)
        with pytest.raises(ValueError, match="2 missing"):
            tester.encrypt(PICTURES[0], 1, fingerprint)
        assert not list(folder.mail("owner").iterdir())

    def test_labels_missing_and_frames_twice(self, open_campaign: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = open_campaign
        tester = RoleOfTester.create(folder, "ann")
        with pytest.raises(ValueError, match="3 frames have 3 labels, not 2"):
            tester.encrypt_batch(PICTURES, [1, 0], fingerprint)
        with pytest.raises(ValueError, match="there twice"):
            tester.encrypt_batch([*PICTURES[:2], PICTURES[0].copy()], [1, 0, 1], fingerprint)
        assert not list(folder.mail("owner").iterdir())


class TestTheSetupsCount:
    def test_keys_that_statements_or_blobs_could_not_hold(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        OwnerRole.create(folder).publish_split(private_part(1), public_part(1))
        make_keys(folder)
        most = min(MAX_FRAMES, most_frames(plan_of(folder)))
        for count in (0, most + 1):
            with pytest.raises(ValueError, match=f"1 to {most} frames"):
                run_setup(folder, 2, count)
        assert not folder.bare_verification_key.exists()

    def test_an_owner_signs_the_count_that_it_agreed_on(
        self, open_campaign: tuple[CampaignFolder, str]
    ) -> None:
        folder, _ = open_campaign
        folder.public.file(MANIFEST).unlink()
        owner = OwnerRole.open(folder.root)
        with pytest.raises(VerificationError, match="submissions of 3 frames, not 1"):
            owner.publish_manifest(frames=1)
        assert not folder.public.file(MANIFEST).exists()
        assert owner.publish_manifest(frames=BATCH).frames == BATCH

    def test_no_more_fits_into_a_blob_than_is_said(self, waiting: tuple[CampaignFolder, str]) -> None:
        """`most_frames` is an upper bound on a frame's bytes, and a close one."""
        folder, _ = waiting
        message = encrypted(folder, PICTURES[0])
        most = most_frames(plan_of(folder))
        assert 0.9 < most * len(message) / (256 << 20) < 1
        assert len(Batch((message,) * 8).to_bytes()) < (256 << 20) / most * 8


class TestLabels:
    def test_they_are_committed_together(self, batched: Played, tampered: CampaignFolder) -> None:
        path = tampered.public.indexed(LABELS, batched.indices[0])
        honest = LabelOpening.from_bytes(path.read_bytes())
        assert honest.labels == (0, 1, 0)
        for labels in ((0, 0, 1), (0, 1, 1), (0, 1), (0, 1, 0, 0)):
            path.write_bytes(replace(honest, labels=labels).to_bytes())
            with pytest.raises(VerificationError, match="committed to"):
                verify(tampered.root)

    def test_a_commitment_to_fewer_labels_than_frames_opens_nothing(
        self, open_campaign: tuple[CampaignFolder, str]
    ) -> None:
        """Its owner would choose afterwards which frames they belong to."""
        folder, _ = open_campaign
        tester = RoleOfTester.create(folder, "ann")
        manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
        registration = tester._register(manifest, b"anything", [1, 0])
        (kept,) = folder.private_of_tester("ann").glob("label-*.cbor")
        with pytest.raises(VerificationError, match="2 labels for 3 frames"):
            LabelOpening.from_bytes(kept.read_bytes()).check(registration, BATCH, 2)

    def test_open_labels_counts_labels(self, tampered: CampaignFolder) -> None:
        assert RoleOfTester.open(tampered, "0").open_labels() == BATCH


class TestTheBatchFormat:
    MANIFEST = manifest(frames=2, label_key_digest=b"")
    COUNTED = manifest(frames=2)

    def test_inverse(self) -> None:
        for labels in (b"", b"sealed"):
            batch = Batch((b"one", b"two"), labels)
            assert Batch.from_bytes(batch.to_bytes()) == batch

    @pytest.mark.parametrize("messages", [(), (b"one",), (b"one", b"two", b"three")])
    def test_another_number_is_refused(self, messages: tuple[bytes, ...]) -> None:
        with pytest.raises(SubmissionRefused, match=f"2 frames here, not {len(messages)}"):
            Batch(messages).check(self.MANIFEST)

    def test_equal_messages_are_refused(self) -> None:
        Batch((b"one", b"two")).check(self.MANIFEST)
        with pytest.raises(SubmissionRefused, match="twice"):
            Batch((b"one", b"one")).check(self.MANIFEST)

    def test_labels_are_there_exactly_where_they_are_counted(self) -> None:
        messages = (b"one", b"two")
        Batch(messages, b"sealed").check(self.COUNTED)
        with pytest.raises(SubmissionRefused, match="has no labels"):
            Batch(messages).check(self.COUNTED)
        with pytest.raises(SubmissionRefused, match="proves nothing"):
            Batch(messages, b"sealed").check(self.MANIFEST)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xa1\x61",
            b"\xff" * 100,
            Batch((b"one",)).to_bytes() + b"\0",
            Batch((b"one",)).to_bytes()[:-1],
            encode("pvcnn-batch", 2, {"messages": [], "labels": b""}),
            encode("pvcnn-other", 1, {"messages": [], "labels": b""}),
            encode("pvcnn-batch", 1, {"labels": b""}),
            encode("pvcnn-batch", 1, {"messages": []}),
            encode("pvcnn-batch", 1, {"messages": b"one", "labels": b""}),
            encode("pvcnn-batch", 1, {"messages": [1], "labels": b""}),
            encode("pvcnn-batch", 1, {"messages": [[b"one"]], "labels": b""}),
            encode("pvcnn-batch", 1, {"messages": [b"one", "two"], "labels": b""}),
            encode("pvcnn-batch", 1, {"messages": [], "labels": "text"}),
            encode("pvcnn-batch", 1, {"messages": [], "labels": bytes(1 << 15)}),
            encode("pvcnn-batch", 1, {"messages": [], "labels": b"", "more": 1}),
            encode("pvcnn-batch", 1, {"messages": [b""] * (MAX_FRAMES + 1), "labels": b""}),
        ],
    )
    def test_hostile_bytes(self, data: bytes) -> None:
        with pytest.raises(DecodeError):
            Batch.from_bytes(data)


def test_a_submission_without_a_proof_is_missing_as_a_whole(tampered: CampaignFolder) -> None:
    for path in tampered.proofs.iterdir():
        path.unlink()
        break
    aggregate_campaign(tampered)
    verdict = verify(tampered.root)
    assert (verdict.proved, verdict.missing, verdict.verified) == (1, 1, False)
    missing = next(each for each in verdict.outcomes if each.status is Status.MISSING)
    assert missing.correct == 0
    assert len(tampered.public.indices(STATEMENTS)) == 1
