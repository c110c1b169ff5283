"""The owner's ledger publishes one answer to each submission, whatever is made twice or interrupted."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.answer import MAX_REASON
from pvcnn.campaign.artefacts.folder import ANSWERS, CampaignFolder
from pvcnn.campaign.artefacts.kept_answer import KeptAnswer
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.owner_ledger import OwnerLedger
from pvcnn.errors import CampaignError, DecodeError, PvcnnError
from tests.campaign.hostile import flipped
from tests.campaign.tiny import submit


@pytest.fixture(scope="module")
def _closed(prepared: tuple[CampaignFolder, str], tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    root = tmp_path_factory.mktemp("closed") / "campaign"
    shutil.copytree(prepared[0].root, root)
    folder = CampaignFolder(root)
    submit(folder, prepared[1], testers=1, each=2, seed=4)
    OwnerRole.open(root).close_registry()
    return folder


@pytest.fixture
def closed(_closed: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(_closed.root, tmp_path / "campaign")
    return CampaignFolder(tmp_path / "campaign")


def letters(folder: CampaignFolder) -> list[bytes]:
    paths = folder.mail("cluster").glob("*.sealed")
    return [path.read_bytes() for path in paths if path.name != "weights.sealed"]


#: Of what was sealed: the ledger takes the evaluator's word for it.
DIGEST = bytes(32)


def kept(folder: CampaignFolder, index: int) -> Path:
    return folder.remembered("owner") / f"answer-{index:06d}.cbor"


def test_the_first_answer_stands(closed: CampaignFolder) -> None:
    first = OwnerLedger.open(closed.root).record(0, b"one evaluation", features_digest=DIGEST)
    second = OwnerLedger.open(closed.root).record(0, b"another evaluation", features_digest=DIGEST)
    refusal = OwnerLedger.open(closed.root).record(0, b"", "too late")
    assert first == second == refusal
    assert letters(closed) == [b"one evaluation"]
    assert kept(closed, 0).stat().st_mode & 0o777 == 0o600


def test_of_answers_that_race_one_is_published(closed: CampaignFolder) -> None:
    start = threading.Barrier(8)
    answers = []

    def race(number: int) -> None:
        ledger = OwnerLedger.open(closed.root)
        start.wait()
        answers.append(ledger.record(1, b"evaluation %d" % number, features_digest=DIGEST))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({answer.answer_digest for answer in answers}) == 1
    (letter,) = letters(closed)
    assert file_digest(letter) == answers[0].answer_digest


@pytest.mark.parametrize("lost", [{"letter", "answer"}, {"answer"}], ids=["both", "answer"])
def test_an_interrupted_answer_is_finished_and_not_made_again(closed: CampaignFolder, lost: set[str]) -> None:
    """As if the owner had been killed after keeping it, or after posting the sealed features."""
    answer = OwnerLedger.open(closed.root).record(0, b"one evaluation", features_digest=DIGEST)
    closed.public.indexed(ANSWERS, 0).unlink()
    if "letter" in lost:
        (closed.mail("cluster") / f"{answer.answer_digest.hex()}.sealed").unlink()
    assert OwnerLedger.open(closed.root).answered(0) == answer
    assert letters(closed) == [b"one evaluation"]
    assert OwnerLedger.open(closed.root).answered(1) is None


def test_what_cannot_be_kept_is_not_published(
    closed: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say: the next evaluation may then be the first that anyone sees."""

    def fail(*arguments: object) -> bool:
        raise CampaignError("no room")

    monkeypatch.setattr("pvcnn.campaign.roles.owner_ledger.write_once", fail)
    with pytest.raises(CampaignError, match="no room"):
        OwnerLedger.open(closed.root).record(0, b"one evaluation", features_digest=DIGEST)
    assert not letters(closed)
    assert not closed.public.indices(ANSWERS)


def test_a_reason_is_cut_to_what_an_answer_holds(closed: CampaignFolder) -> None:
    answer = OwnerLedger.open(closed.root).record(0, b"", "line\n" * 100)
    assert answer.refused
    assert len(answer.reason) == MAX_REASON
    assert answer.reason.isprintable()
    assert not letters(closed)


@pytest.mark.parametrize(("sealed", "reason"), [(b"", ""), (b"x", "y")])
def test_an_answer_is_one_of_two_things(closed: CampaignFolder, sealed: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match="either sealed features or a refusal"):
        OwnerLedger.open(closed.root).record(0, sealed, reason)
    with pytest.raises(ValueError, match="no submission 2"):
        OwnerLedger.open(closed.root).record(2, b"x", features_digest=DIGEST)


@pytest.mark.parametrize(("sealed", "reason", "digest"), [(b"x", "", b""), (b"", "y", bytes(32))])
def test_features_come_with_their_digest(
    closed: CampaignFolder, sealed: bytes, reason: str, digest: bytes
) -> None:
    with pytest.raises(ValueError, match="come with their digest"):
        OwnerLedger.open(closed.root).record(0, sealed, reason, features_digest=digest)


def test_a_damaged_kept_answer_is_not_published(closed: CampaignFolder) -> None:
    OwnerLedger.open(closed.root).record(0, b"one evaluation", features_digest=DIGEST)
    closed.public.indexed(ANSWERS, 0).unlink()
    path = kept(closed, 0)
    original = path.read_bytes()
    for position in range(0, len(original), 5):
        path.write_bytes(flipped(original, position))
        with pytest.raises((PvcnnError, ValueError)):
            OwnerLedger.open(closed.root).answered(0)
    assert not closed.public.indices(ANSWERS)
    other = KeptAnswer.from_bytes(original).answer
    with pytest.raises(DecodeError, match="other sealed bytes"):
        KeptAnswer.from_bytes(KeptAnswer(other, b"another evaluation").to_bytes())
