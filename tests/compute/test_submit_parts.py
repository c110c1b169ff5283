"""Submitting without a cluster: what a log may claim, what a bundle holds, to whom keys are sealed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.mail import SealingKey
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.verification import auditor
from pvcnn.compute import key_sender
from pvcnn.compute.bundle import bundled, make_bundle
from pvcnn.compute.events import Event, Kind, WorkerName
from pvcnn.compute.job import JobSettings
from pvcnn.compute.job_board import JobBoard, _whole_lines
from pvcnn.compute.job_events import (
    MAX_LINE,
    PREFIX,
    Delivered,
    Ended,
    Folded,
    Happened,
    JobEvent,
    KeysHeld,
    KeysWanted,
    Proved,
    decode_line,
    encode_line,
)
from pvcnn.compute.key_delivery import Courier, Place, open_secrets, seal_secrets
from pvcnn.compute.key_sender import KeySender
from pvcnn.compute.submission import Submission, interpreter_for
from pvcnn.encoding import encode
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError
from pvcnn.qmp.proof import Proof
from tests.campaign.tiny import Played
from tests.compute.secret_scan import files_below, forms, found

REGISTRY = bytes(range(32))
EVENTS: list[JobEvent] = [
    Happened(Event(Kind.LOST, 3, WorkerName("10.0.0.1", "ab" * 28, 77), "why"), "cd" * 32),
    Happened(Event(Kind.WAITING, -1)),
    Delivered(5, b"outcome", b"sealed"),
    KeysWanted(bytes(32)),
    KeysHeld(bytes(32)),
    Proved(1200, 2350, 2300, 2),
    Folded(b"aggregate"),
    Ended("no GPU is declared"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.NAME))
def test_events_come_back_from_their_lines(event: JobEvent) -> None:
    line = encode_line(REGISTRY, event)
    assert "\n" not in line
    assert decode_line(REGISTRY, line) == event


def test_lines_for_people_are_none_of_ours() -> None:
    assert decode_line(REGISTRY, "submission 3: at work") is None
    assert decode_line(REGISTRY, "") is None


def line_of(**fields: object) -> str:
    body = {"registry": REGISTRY, "event": "delivered", "index": 1, "outcome": b"", "details": b""}
    data = encode(
        "pvcnn-job-event", 1, {name: value for name, value in (body | fields).items() if value != ()}
    )
    return PREFIX + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "line",
    [
        PREFIX,
        PREFIX + "AAAA",
        PREFIX + "not base64",
        PREFIX + "é",
        line_of() + " ",
        line_of()[:-4],
        line_of(registry=bytes(32)),
        line_of(registry=b"short"),
        line_of(event="believe-me"),
        line_of(event=3),
        line_of(index=-1),
        line_of(index=1 << 14),
        line_of(outcome="text"),
        line_of(details=bytes((1 << 16) + 1)),
        line_of(details=()),
        line_of(more=1),
        PREFIX + "A" * MAX_LINE,
    ],
    ids=lambda line: str(line)[:30],
)
def test_lines_that_claim_what_they_are_not_are_refused(line: str) -> None:
    assert decode_line(REGISTRY, line_of()) == Delivered(1, b"", b"")
    with pytest.raises(DecodeError):
        decode_line(REGISTRY, line)


def test_what_is_shown_is_printable() -> None:
    line = encode_line(REGISTRY, Ended("\x1b[2J" + "long " * 1000))
    event = decode_line(REGISTRY, line)
    assert isinstance(event, Ended)
    assert event.reason.isprintable()
    fields = {"registry": REGISTRY, "event": "ended", "reason": "\x1b[2J"}
    hostile = PREFIX + base64.b64encode(encode("pvcnn-job-event", 1, fields)).decode()
    with pytest.raises(DecodeError, match="cannot be printed"):
        decode_line(REGISTRY, hostile)


@given(st.one_of(st.text(), st.binary().map(lambda data: base64.b64encode(data).decode())))
def test_whatever_follows_the_prefix_decodes_or_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_line(REGISTRY, PREFIX + text)


def test_lines_are_put_together_from_pieces() -> None:
    pieces = ["one\ntw", None, "o\n", "\nthree"]
    assert list(_whole_lines(iter(pieces))) == ["one", None, "two", "", "three"]
    endless = ["a\n", *["x" * MAX_LINE] * 3, "end\nb\n"]
    assert [line for line in _whole_lines(iter(endless)) if line != ""] == ["a", "b"]


class ScriptedBoard(JobBoard):
    """A cluster whose only job says what it was told to say."""

    def __init__(self, registry: bytes, lines: list[str]) -> None:
        self.address = "http://scripted"
        self._stem = f"pvcnn-{registry.hex()[:16]}"
        self.lines = lines
        self.submitted: list[str] = []
        self.deliveries: list[str] = []
        self.finished: set[str] = set()
        self.bundle: list[str] = []

    def attempts(self) -> dict[int, bool]:
        return dict.fromkeys(range(1, len(self.submitted) + 1), True)

    def submit(self, attempt: int, entrypoint: str, bundle: Path) -> bool:
        self.submitted.append(entrypoint)
        self.bundle = [str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()]
        return True

    def submit_delivery(self, entrypoint: str, bundle: Path) -> str:
        self.deliveries.append(entrypoint)
        return f"delivery-{len(self.deliveries)}"

    def follow(self, name: str) -> Iterator[str | None]:
        yield from self.lines

    def over(self, name: str) -> bool:
        return name in self.finished

    def state(self, name: str) -> str:
        return "SUCCEEDED"

    def forget(self, name: str) -> None:
        self.finished.remove(name)


def outcome_of(played: Played, index: int) -> bytes:
    submission = Proceedings.read(played.folder.public).submission(played.folder.public, index)
    return played.folder.outcome(submission.context).read_bytes()


def flipped(encoded: bytes) -> bytes:
    """The honest proof under the other decision."""
    proof = ClusterOutcome.from_bytes(encoded).proof
    assert proof is not None
    statement = replace(proof.statement, outputs=tuple(1 - bit for bit in proof.statement.outputs))
    return ClusterOutcome(proof=Proof.from_bytes(proof.to_bytes(), statement)).to_bytes()


def submission_with(
    folder: CampaignFolder, events: list[JobEvent | str]
) -> tuple[Submission, ScriptedBoard, list[str], list[Event]]:
    registry = Proceedings.read(folder.public).registry.digest()
    lines = [event if isinstance(event, str) else encode_line(registry, event) for event in events]
    board = ScriptedBoard(registry, lines)
    said: list[str] = []
    heard: list[Event] = []
    submission = Submission(
        folder.root, board, JobSettings(), "python", listener=heard.append, say=said.append
    )
    return submission, board, said, heard


def test_an_honest_log_is_taken(played: Played, unproved: CampaignFolder) -> None:
    aggregate = (played.folder.public.path / "aggregate.cbor").read_bytes()
    delivered: list[JobEvent | str] = [Delivered(index, outcome_of(played, index)) for index in range(4)]
    submission, board, said, heard = submission_with(unproved, ["words", *delivered, Folded(aggregate)])
    done = submission.run()
    assert (done.proved, done.failed, done.folded_by, done.verified) == (4, {}, "cluster", True)
    assert [event.index for event in heard if event.kind is Kind.DONE] == [0, 1, 2, 3]
    assert (unproved.public.path / "aggregate.cbor").read_bytes() == aggregate
    assert len(board.submitted) == 1
    assert len(said) == 1


def test_a_lying_log_is_not_believed(played: Played, unproved: CampaignFolder) -> None:
    honest = [outcome_of(played, index) for index in range(4)]
    lies: list[JobEvent | str] = [
        Delivered(0, honest[1]),
        Delivered(1, flipped(honest[1])),
        Delivered(2, honest[2][:-1]),
        Delivered(3, b""),
        Delivered(4, honest[0]),
        Delivered(16383, honest[0]),
        PREFIX + "garbage",
        *(Happened(Event(Kind.DONE, index)) for index in range(4)),
        Happened(Event(Kind.FAILED, 12, detail="not one of ours")),
    ]
    false_aggregate = (played.folder.public.path / "aggregate.cbor").read_bytes()
    submission, board, said, heard = submission_with(
        unproved, [*lies, Delivered(0, honest[0]), Folded(false_aggregate)]
    )
    done = submission.run()
    assert done.proved == 1
    assert sorted(done.failed) == [1, 2, 3]
    assert [event.index for event in heard if event.kind is Kind.DONE] == [0]
    assert len(list(unproved.proofs.iterdir())) == 1
    # The aggregate of four proofs is not that of the one that is here.
    assert done.folded_by == "here"
    assert any("folding here" in text for text in said)
    assert auditor.verify(unproved.root).proved == 1
    # Three lines that lied about 1, 2 and 3 do not keep the truth out.
    board.lines = [
        encode_line(Proceedings.read(unproved.public).registry.digest(), Delivered(index, honest[index]))
        for index in range(4)
    ]
    done = submission.run()
    # Nor does the aggregate, which came too early and is right now.
    assert (done.proved, done.verified, done.folded_by) == (4, True, "cluster")


def test_a_bundle_holds_nothing_private(unproved: CampaignFolder, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    assert make_bundle(unproved, target, "name", [0, 2]) == [0, 2]
    inside = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert not [name for name in inside if name.startswith(("private", "mail/owner"))]
    assert "keys/evaluation_keys.bin" not in inside
    assert bundled(CampaignFolder(target), range(4)) == [0, 2]
    secrets = ClusterSecrets.load_from(unproved.private("cluster"))
    held = [secrets.decryption_key[200:], secrets.identity.signing.to_bytes(), secrets.audit.value]
    owner = (unproved.root / "private" / "owner" / "private_part.cbor").read_bytes()[120:]
    assert found([*held, owner], files_below(target)) == []
    # The search finds them in every form, one at a time.
    for secret in [*held, owner]:
        for needle in forms(secret):
            (target / "planted").write_bytes(b"some" + needle + b"thing")
            assert found([*held, owner], files_below(target)) == [str(target / "planted")]
    for text in (base64.b64encode(b"a" + held[0]), base64.b64encode(b"aa" + held[0]), held[1].hex().encode()):
        (target / "planted").write_bytes(text)
        assert found(held, files_below(target))


def test_a_bundle_takes_what_fits_and_says_where_the_rest_goes(
    unproved: CampaignFolder, tmp_path: Path
) -> None:
    answer = max(path.stat().st_size for path in unproved.mail("cluster").glob("*.sealed")) + 512
    (tmp_path / "all").mkdir()
    make_bundle(unproved, tmp_path / "all", "name", range(4))
    total = sum(path.stat().st_size + 512 for path in (tmp_path / "all").rglob("*") if path.is_file())
    (tmp_path / "some").mkdir()
    taken = make_bundle(unproved, tmp_path / "some", "name", range(4), total - answer - 600)
    assert taken in ([0, 1], [0, 1, 2])
    (tmp_path / "none").mkdir()
    with pytest.raises(CampaignError, match="storage that all machines share"):
        make_bundle(unproved, tmp_path / "none", "name", range(4), total - 4 * answer - 600)


def test_what_does_not_fit_follows_in_a_next_job(
    played: Played, unproved: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def three_fit(folder: CampaignFolder, target: Path, name: str, indices: list[int]) -> list[int]:
        return indices[:3]

    monkeypatch.setattr("pvcnn.compute.submission.make_bundle", three_fit)
    delivered: list[JobEvent | str] = [Delivered(index, outcome_of(played, index)) for index in range(4)]
    submission, board, _, _ = submission_with(unproved, delivered)
    assert submission.run().attempts == 2
    assert [entrypoint.endswith("--more") for entrypoint in board.submitted] == [True, False]


def place_of(folder: CampaignFolder) -> Place:
    return Place.of(Proceedings.read(folder.public))


def test_a_courier_takes_the_cluster_s_secrets_and_no_others(played: Played) -> None:
    secrets = ClusterSecrets.load_from(played.folder.private("cluster"))
    place, signer = place_of(played.folder), secrets.identity.signing.public
    courier = Courier(place, signer)
    worker = SealingKey.generate()
    assert courier.secrets_for(worker.public) == b""
    others = ClusterSecrets(Identity.generate(), secrets.decryption_key, secrets.audit)
    elsewhere = Place(place.manifest, bytes(32))
    for blob, why in (
        (b"", "does not open"),
        (seal_secrets(secrets, place, SealingKey.generate().public), "does not open"),
        (seal_secrets(secrets, elsewhere, courier.public_key()), "does not open"),
        (seal_secrets(others, place, courier.public_key()), "another cluster"),
    ):
        assert why in courier.deliver(blob)
        assert not courier.holds()
    assert courier.deliver(seal_secrets(secrets, place, courier.public_key())) == ""
    assert courier.holds()
    blob = courier.secrets_for(worker.public)
    assert open_secrets(blob, place, worker, signer).to_bytes() == secrets.to_bytes()
    with pytest.raises(SubmissionRefused):
        open_secrets(blob, elsewhere, worker, signer)
    with pytest.raises(VerificationError, match="another cluster"):
        open_secrets(blob, place, worker, others.identity.signing.public)
    with pytest.raises(DecodeError):
        seal_secrets(secrets, place, bytes(32))
    assert secrets.decryption_key[:40] not in blob


@pytest.fixture
def sender(played: Played, monkeypatch: pytest.MonkeyPatch) -> tuple[KeySender, ScriptedBoard]:
    for pause in ("_SETTLING_SECONDS", "_SETTLING_AFTER_DELIVERY", "_MONITOR_SECONDS"):
        monkeypatch.setattr(key_sender, pause, 0.0)
    board = ScriptedBoard(REGISTRY, [])
    secrets = ClusterSecrets.load_from(played.folder.private("cluster"))
    return KeySender(board, place_of(played.folder), secrets, "python"), board


def test_a_request_is_met_once_and_a_new_courier_s_too(sender: tuple[KeySender, ScriptedBoard]) -> None:
    keys, board = sender
    first, second = SealingKey.generate().public, SealingKey.generate().public
    keys.tick()
    keys.wanted(first)
    keys.tick()
    keys.tick()
    assert len(board.deliveries) == 1
    assert "secret" not in board.deliveries[0]
    board.finished.add("delivery-1")
    keys.held(first)
    keys.tick()
    assert board.finished == set()  # deleted
    assert len(board.deliveries) == 1
    keys.wanted(second)
    keys.held(first)
    keys.tick()
    assert len(board.deliveries) == 2


def test_keys_that_nobody_takes_are_an_error(sender: tuple[KeySender, ScriptedBoard]) -> None:
    keys, board = sender
    keys.wanted(SealingKey.generate().public)
    for number in range(1, 4):
        keys.tick()
        board.finished.add(f"delivery-{number}")
    with pytest.raises(CampaignError, match="does not take"):
        keys.tick()
    assert len(board.deliveries) == 3


def test_an_old_log_s_requests_are_nobody_s_wish(sender: tuple[KeySender, ScriptedBoard]) -> None:
    keys, board = sender
    keys.wanted(SealingKey.generate().public)
    keys.tidy()
    keys.tick()
    assert board.deliveries == []


def test_python_is_this_one_only_where_this_machine_is_the_cluster() -> None:
    assert interpreter_for("http://127.0.0.1:8265", None).endswith(("python", "python3", "python3.11"))
    assert interpreter_for("http://10.0.0.1:8265", None) == "python"
    assert interpreter_for("http://10.0.0.1:8265", "/opt/python") == "/opt/python"


def test_a_job_server_that_is_not_there_is_an_error_with_a_remedy() -> None:
    with pytest.raises(CampaignError, match="RAY_AUTH_TOKEN"):
        JobBoard("http://127.0.0.1:9", REGISTRY)
