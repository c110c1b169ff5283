"""Batches that are not what they should be: every check of one frame holds for each frame of a submission."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.auditor import verify
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster import ClusterRole
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.evaluator import open_evaluator
from pvcnn.campaign.folder import (
    AGGREGATE,
    ANSWERS,
    CLUSTER_CARD,
    LABELS,
    MANIFEST,
    REGISTRY,
    STATEMENTS,
    CampaignFolder,
)
from pvcnn.campaign.identity import LOG_NAME, Identity
from pvcnn.campaign.label_opening import LabelOpening
from pvcnn.campaign.mail import answer_info, post, seal
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.owner_secrets import load_private_part
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.report import CLUSTER_REFUSED, Status
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import SubmissionRefused, VerificationError
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import generate
from pvcnn.qmp.statement import Statement
from tests.attacks.conftest import Stage
from tests.campaign.dishonest import edited, encrypted, plan_of, smuggle, smuggle_batch
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import frames, play, prepare, prove_all, submit, surely_decided

BATCH = 3
PICTURES = frames(6, 9)


@pytest.fixture(scope="module")
def _waiting(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("waiting") / "campaign", batch=BATCH)
    return Stage(folder, fingerprint)


@pytest.fixture
def waiting(_waiting: Stage, tmp_path: Path) -> Stage:
    """After `setup` for submissions of three frames."""
    return _waiting.copied(tmp_path / "waiting")


@pytest.fixture(scope="module")
def _evaluated(_waiting: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    stage = _waiting.copied(tmp_path_factory.mktemp("evaluated") / "campaign")
    submit(stage.folder, stage.fingerprint, testers=1, each=2, seed=3, batch=BATCH)
    owner = OwnerRole.open(stage.folder.root)
    owner.close_registry()
    for index in range(2):
        owner.infer(index)
    return stage


@pytest.fixture
def evaluated(_evaluated: Stage, tmp_path: Path) -> Stage:
    """After `infer`, with two submissions of three frames."""
    return _evaluated.copied(tmp_path / "evaluated")


@dataclass(frozen=True)
class Mixed:
    """A finished campaign; where each tester's submission stands in the registry."""

    folder: CampaignFolder
    place: dict[str, int]


@pytest.fixture(scope="module")
def mixed(_waiting: Stage, tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    folder = _waiting.copied(tmp_path_factory.mktemp("mixed") / "campaign").folder
    _, foreign_key, _ = generate(plan_of(folder))

    def good(count: int) -> list[bytes]:
        return [encrypted(folder, frame) for frame in PICTURES[:count]]

    foreign = encrypt_frame(plan_of(folder), foreign_key, PICTURES[5])
    one, two, _ = good(3)
    registrations = {
        "honest": smuggle(folder, "honest", *good(BATCH)),
        "one-too-few": smuggle(folder, "one-too-few", *good(BATCH - 1)),
        "one-too-many": smuggle(folder, "one-too-many", *good(BATCH + 1)),
        "none": smuggle(folder, "none"),
        "no-batch": smuggle_batch(folder, "no-batch", good(1)[0]),
        "last-malformed": smuggle(folder, "last-malformed", one, two, edited(good(1)[0], ciphertexts=[])),
        "middle-foreign": smuggle(folder, "middle-foreign", good(1)[0], foreign, good(2)[1]),
    }
    owner = OwnerRole.open(folder.root)
    registry, turned_away = owner.close_registry()
    assert not turned_away
    for index in range(len(registrations)):
        owner.infer(index)
    uploads = [each.upload_digest for each in registry.registrations]
    place = {name: uploads.index(each.upload_digest) for name, each in registrations.items()}
    assert prove_all(folder, len(registrations))
    aggregate_campaign(folder)
    return Mixed(folder, place)


class TestUploads:
    def test_one_is_proved_and_the_others_count_as_failed(self, mixed: Mixed) -> None:
        verdict = verify(mixed.folder.root)
        assert (verdict.verified, verdict.registered, verdict.proved, verdict.refused) == (True, 7, 1, 6)
        assert verdict.outcomes[mixed.place["honest"]].status is Status.PROVED

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("one-too-few", "a submission has 3 frames here, not 2"),
            ("one-too-many", "a submission has 3 frames here, not 4"),
            ("none", "a submission has 3 frames here, not 0"),
            ("no-batch", "pvcnn-batch: the file says it is another format"),
            ("last-malformed", "1 ciphertexts are expected, not 0"),
        ],
    )
    def test_the_owner_refuses_all_of_it_with_one_reason(self, mixed: Mixed, name: str, reason: str) -> None:
        index = mixed.place[name]
        outcome = verify(mixed.folder.root).outcomes[index]
        assert (outcome.status, outcome.reason, outcome.decisions) == (Status.REFUSED, reason, ())
        log = mixed.folder.private("owner") / LOG_NAME
        assert log.stat().st_mode & 0o777 == 0o600
        (line,) = (line for line in log.read_text().splitlines() if line.startswith(f"submission {index}:"))
        assert ("frame 2:" in line) == (name == "last-malformed")

    def test_one_frame_of_nonsense_refuses_the_submission(self, mixed: Mixed) -> None:
        """Which frame it was is in the cluster's own log, and in no public file."""
        index = mixed.place["middle-foreign"]
        outcome = verify(mixed.folder.root).outcomes[index]
        assert (outcome.status, outcome.reason) == (Status.REFUSED, CLUSTER_REFUSED)
        log = (mixed.folder.private("cluster") / LOG_NAME).read_text()
        assert f"submission {index}: SubmissionRefused" in log
        assert "frame 1: feature" in log
        for path in mixed.folder.public.path.rglob("*"):
            assert not path.is_file() or b"frame 1" not in path.read_bytes()

    def test_a_ciphertext_twice_in_one_submission_is_turned_away(self, waiting: Stage) -> None:
        """Its frame would count twice."""
        once, other = (encrypted(waiting.folder, frame) for frame in PICTURES[:2])
        smuggle(waiting.folder, "twice", once, other, once)
        smuggle(waiting.folder, "honest", *(encrypted(waiting.folder, frame) for frame in PICTURES[2:5]))
        _, turned_away = OwnerRole.open(waiting.folder.root).close_registry()
        assert [each.reason for each in turned_away] == ["a ciphertext occurs twice in the submission"]

    def test_a_ciphertext_of_another_submission_is_turned_away(self, waiting: Stage) -> None:
        """Even if it stands elsewhere there, among others."""
        folder = waiting.folder
        shared, *rest = (encrypted(folder, frame) for frame in PICTURES[:5])
        smuggle(folder, "first", shared, *rest[:2])
        smuggle(folder, "second", *rest[2:], shared)
        registry, turned_away = OwnerRole.open(folder.root).close_registry()
        assert len(registry.registrations) == 1
        assert [each.reason for each in turned_away] == ["the same ciphertext is registered already"]


def answer_with(folder: CampaignFolder, index: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """A dishonest owner's signed answer: what it evaluated for `index`, changed."""
    proceedings = Proceedings.read(folder.public)
    place = (proceedings.manifest.digest(), proceedings.registry.digest(), index)
    card = ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD))
    evaluator = open_evaluator(folder, card, load_private_part(folder.private("owner")))
    assert isinstance(evaluator, Evaluator)
    features = [evaluator.evaluate(encrypted(folder, frame), bytes(32)) for frame in PICTURES[:BATCH]]
    batch = Batch(tuple(change(features))).to_bytes()
    answer_digest = post(folder.mail("cluster"), seal(card.sealing_key, batch, answer_info(*place)))
    key = Identity.load_from(folder.private("owner"), "split").signing
    answer = proceedings.submission(folder.public, index).answer
    changed = replace(answer, answer_digest=answer_digest, features_digest=file_digest(batch)).signed(key)
    folder.public.indexed(ANSWERS, index).write_bytes(changed.to_bytes())


class TestAnswers:
    """What an owner seals to the cluster is counted and compared as well: all frames, each once."""

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda all_: all_[:2], "3 frames here, not 2"),
            (lambda all_: [*all_, b"more"], "3 frames here, not 4"),
            (lambda all_: [all_[0], all_[1], all_[0]], "twice"),
            (lambda all_: [all_[0], all_[1], b"nothing"], "frame 2"),
            (lambda all_: [], "3 frames here, not 0"),
        ],
        ids=["too few", "too many", "twice", "no ciphertext", "none"],
    )
    def test_the_cluster_proves_none_of_it(
        self, evaluated: Stage, change: Callable[[list[bytes]], list[bytes]], words: str
    ) -> None:
        folder = evaluated.folder
        answer_with(folder, 0, change)
        with pytest.raises(SubmissionRefused):
            ClusterRole.open(folder.root).prove(0)
        assert words in (folder.private("cluster") / LOG_NAME).read_text()


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """Its submissions are decided 1, 0, 0 and 0, 1, 0."""
    decided = surely_decided(3)
    given = [decided[1][0], *decided[0][:3], decided[1][1], decided[0][3]]
    root = tmp_path_factory.mktemp("finished") / "campaign"
    return play(root, testers=1, each=2, batch=BATCH, pictures=given).folder


@pytest.fixture
def finished(_finished: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(_finished.root, tmp_path / "finished")
    return CampaignFolder(tmp_path / "finished")


class TestStatements:
    @pytest.mark.parametrize(
        "change",
        [
            lambda o: (1 - o[0], *o[1:]),
            lambda o: (*o[:-1], 1 - o[-1]),
            lambda o: o[:-1],
            lambda o: (*o, 0),
            lambda o: o[:1],
            lambda o: (*o[:-1], 2),
        ],
        ids=["first", "last", "one fewer", "one more", "one", "no decision"],
    )
    def test_no_frames_decision_can_be_changed_dropped_or_added(
        self, finished: CampaignFolder, change: Callable[[tuple[int, ...]], tuple[int, ...]]
    ) -> None:
        path = finished.public.indexed(STATEMENTS, 1)
        statement = Statement.from_bytes(path.read_bytes())
        path.write_bytes(replace(statement, outputs=change(statement.outputs)).to_bytes())
        with pytest.raises(VerificationError):
            verify(finished.root)

    def test_frames_cannot_change_places(self, finished: CampaignFolder) -> None:
        """Decisions stand in the order of the tester's frames."""
        path = finished.public.indexed(STATEMENTS, 0)
        statement = Statement.from_bytes(path.read_bytes())
        moved = statement.outputs[1:] + statement.outputs[:1]
        assert sorted(moved) == [0, 0, 1]
        path.write_bytes(replace(statement, outputs=moved).to_bytes())
        with pytest.raises(VerificationError):
            verify(finished.root)

    def test_a_proof_of_one_frame_serves_no_campaign_of_three(
        self, finished: CampaignFolder, tmp_path: Path
    ) -> None:
        """The frame count is in the context, eq. (20), and fixed by the key."""
        single = play(tmp_path / "single", testers=1, each=2).folder
        for which, index in ((STATEMENTS, 0), (STATEMENTS, 1)):
            shutil.copy(single.public.indexed(which, index), finished.public.indexed(which, index))
        shutil.copy(single.public.file(AGGREGATE), finished.public.file(AGGREGATE))
        with pytest.raises(VerificationError):
            verify(finished.root)

    def test_an_owner_cannot_sign_another_count_over_the_same_key(self, finished: CampaignFolder) -> None:
        key = Identity.load_from(finished.private("owner"), "split").signing
        manifest = Manifest.from_bytes(finished.public.read(MANIFEST))
        for count in (1, BATCH - 1, BATCH + 1):
            changed = replace(manifest, frames=count).signed(key)
            finished.public.file(MANIFEST).write_bytes(changed.to_bytes())
            registry = Registry.close(key, file_digest(changed.to_bytes()), [])
            finished.public.file(REGISTRY).write_bytes(registry.to_bytes())
            for which in ("answers", "statements", "labels"):
                shutil.rmtree(finished.public.path / which, ignore_errors=True)
            with pytest.raises(VerificationError, match="another number of frames"):
                verify(finished.root)


class TestTheSecondVerifier:
    """scripts/verify_aggregate.py, which shares no code with the package."""

    def test_it_accepts_a_campaign_of_batches(
        self, finished: CampaignFolder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert code_of(finished) == 0
        printed = capsys.readouterr().out
        assert "fake, real, real (label: real, fake, real)" in printed
        assert "2 submissions registered, 2 proved" in printed

    def test_it_refuses_another_number_of_frames(self, finished: CampaignFolder) -> None:
        path = finished.public.indexed(LABELS, 0)
        honest = LabelOpening.from_bytes(path.read_bytes())
        path.write_bytes(replace(honest, labels=honest.labels[:2]).to_bytes())
        assert code_of(finished) == 1
        path.write_bytes(honest.to_bytes())
        path = finished.public.indexed(STATEMENTS, 0)
        statement = Statement.from_bytes(path.read_bytes())
        path.write_bytes(replace(statement, outputs=statement.outputs[:2]).to_bytes())
        assert code_of(finished) == 1
