"""Proving workers on a real local Ray: whatever one of them does costs a retry, not the campaign."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.verification import auditor
from pvcnn.compute import proving, session
from pvcnn.compute.dispatcher import Limits
from pvcnn.compute.events import Event, Kind, Listener, Outcome
from pvcnn.compute.proving import Placement
from pvcnn.compute.proving_worker import SecretsInDirectory, SecretsSource
from pvcnn.errors import CampaignError

#: Processor seconds after which a worker that was just given a submission is in the middle of it.
_BUSY_SECONDS = 0.03


@pytest.fixture(scope="module", autouse=True)
def ray_session() -> Iterator[None]:
    with session.local_session(2):
        yield


def prove_all(
    folder: CampaignFolder,
    indices: Sequence[int],
    workers: int,
    *,
    listener: Listener = lambda event: None,
    limits: Limits | None = None,
    secrets: SecretsSource | None = None,
    gpus: float = 0.0,
) -> list[Outcome]:
    source = secrets or SecretsInDirectory(str(folder.private("cluster")))
    return proving.prove_all(
        ClusterLedger.open(folder.root),
        folder.root,
        source,
        indices,
        Placement(workers, gpus=gpus),
        limits=limits,
        listener=listener,
    )


def outcome_path(folder: CampaignFolder, index: int) -> Path:
    submission = Proceedings.read(folder.public).submission(folder.public, index)
    return folder.outcome(submission.context)


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_busy(process: int, start: float) -> None:
    deadline = time.monotonic() + 20
    while processor_seconds(process) - start < _BUSY_SECONDS:
        assert time.monotonic() < deadline, "the worker never began"
        time.sleep(0.001)


def test_a_killed_worker_costs_one_retry(unproved: CampaignFolder) -> None:
    killed: list[tuple[int, int]] = []
    events: list[Event] = []

    def kill_the_first(event: Event) -> None:
        events.append(event)
        if event.kind is Kind.STARTED and not killed:
            assert event.worker is not None
            process = event.worker.process
            wait_until_busy(process, processor_seconds(process))
            os.kill(process, signal.SIGKILL)
            killed.append((event.index, process))
            assert not outcome_path(unproved, event.index).exists(), "killed too late to show anything"

    outcomes = prove_all(unproved, range(4), 2, listener=kill_the_first)

    index, process = killed[0]
    assert [outcome.failure for outcome in outcomes] == [""] * 4
    assert {outcome.index: outcome.attempts for outcome in outcomes} == {
        each: 2 if each == index else 1 for each in range(4)
    }
    lost = [event for event in events if event.kind is Kind.LOST]
    assert [(event.index, event.worker and event.worker.process) for event in lost] == [(index, process)]
    aggregate_campaign(unproved)
    verdict = auditor.verify(unproved.root)
    assert verdict.verified
    assert verdict.proved == 4


def test_finished_proofs_are_not_made_again(unproved: CampaignFolder) -> None:
    assert [outcome.attempts for outcome in prove_all(unproved, range(2), 1)] == [1, 1]
    before = {path.name: path.read_bytes() for path in unproved.proofs.iterdir()}
    assert [outcome.attempts for outcome in prove_all(unproved, range(2), 1)] == [0, 0]
    assert {path.name: path.read_bytes() for path in unproved.proofs.iterdir()} == before


def test_a_submission_that_kills_every_worker_is_given_up(unproved: CampaignFolder) -> None:
    def kill_index_0(event: Event) -> None:
        if event.kind is Kind.STARTED and event.index == 0:
            assert event.worker is not None
            os.kill(event.worker.process, signal.SIGKILL)

    outcomes = prove_all(unproved, range(2), 1, listener=kill_index_0)
    assert outcomes[0].attempts == Limits().attempts
    assert "died" in outcomes[0].failure
    assert not outcomes[1].failure


def test_a_failure_is_reported_and_the_others_go_on(unproved: CampaignFolder) -> None:
    submission = Proceedings.read(unproved.public).submission(unproved.public, 1)
    (unproved.mail("cluster") / f"{submission.answer.answer_digest.hex()}.sealed").unlink()
    outcomes = prove_all(unproved, range(3), 2)
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, False]


def test_workers_that_cannot_open_the_campaign_are_an_error(unproved: CampaignFolder, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"identity\.cbor is missing"):
        prove_all(unproved, range(1), 1, secrets=SecretsInDirectory(str(tmp_path)))
    source = SecretsInDirectory(str(unproved.private("cluster")))
    with pytest.raises(CampaignError, match="storage that all machines share"):
        proving.prove_all(
            ClusterLedger.open(unproved.root), tmp_path / "not-here", source, range(1), Placement(1)
        )


def test_asking_for_a_gpu_where_none_is_declared_fails_at_once(unproved: CampaignFolder) -> None:
    with pytest.raises(CampaignError, match="no GPU is declared"):
        prove_all(unproved, range(1), 1, gpus=0.5)
    assert not list(unproved.proofs.iterdir())


@dataclass(frozen=True)
class Misbehaving:
    """Secrets for a worker that misbehaves: the first process to open them, told by a file that it makes."""

    path: str
    mark: str
    deed: str

    def load(self) -> ClusterSecrets:
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return ClusterSecrets.load_from(Path(self.path))
        from pvcnn.campaign.roles import prover

        honest = prover.SubmissionProver.examine

        def examine(self_: Any, index: int) -> Any:
            if deed == "hang":
                time.sleep(600)
            examined = honest(self_, index)
            outcome = bytearray(examined.outcome)
            if deed == "garbage":
                return prover.Examined(bytes(outcome[:50]), {})
            other = honest(self_, (index + 1) % 4)  # a valid proof, of another submission
            return prover.Examined(other.outcome, {}) if deed == "crossed" else _flip_decision(examined)

        deed = self.deed
        prover.SubmissionProver.examine = examine  # type: ignore[method-assign,assignment]
        return ClusterSecrets.load_from(Path(self.path))


def _flip_decision(examined: Any) -> Any:
    """The honest proof under the other decision."""
    from dataclasses import replace

    from pvcnn.campaign.artefacts.outcome import ClusterOutcome
    from pvcnn.qmp.proof import Proof

    proof = ClusterOutcome.from_bytes(examined.outcome).proof
    assert proof is not None
    statement = replace(proof.statement, outputs=tuple(1 - bit for bit in proof.statement.outputs))
    forged = Proof.from_bytes(proof.to_bytes(), statement)
    return replace(examined, outcome=ClusterOutcome(proof=forged).to_bytes())


@pytest.mark.parametrize("deed", ["garbage", "crossed", "flipped"])
def test_a_worker_that_delivers_a_false_proof_is_named_and_replaced(
    unproved: CampaignFolder, tmp_path: Path, deed: str
) -> None:
    events: list[Event] = []
    source = Misbehaving(str(unproved.private("cluster")), str(tmp_path / "mark"), deed)
    outcomes = prove_all(unproved, range(4), 1, secrets=source, listener=events.append)
    assert [outcome.failure for outcome in outcomes] == [""] * 4
    assert [outcome.attempts for outcome in outcomes] == [2, 1, 1, 1]
    false = [event for event in events if event.kind is Kind.FALSE]
    assert [event.index for event in false] == [0]
    liar = false[0].worker
    assert liar is not None
    assert all(event.worker != liar for event in events if event.kind is Kind.DONE)
    aggregate_campaign(unproved)
    assert auditor.verify(unproved.root).proved == 4


def test_a_worker_that_hangs_is_ended_at_the_time_limit(unproved: CampaignFolder, tmp_path: Path) -> None:
    events: list[Event] = []
    source = Misbehaving(str(unproved.private("cluster")), str(tmp_path / "mark"), "hang")
    outcomes = prove_all(
        unproved, range(2), 1, secrets=source, listener=events.append, limits=Limits(each=5.0)
    )
    assert [outcome.failure for outcome in outcomes] == ["", ""]
    assert [(event.index, event.detail) for event in events if event.kind is Kind.OVERDUE] == [
        (0, "more than 5 s")
    ]


def test_past_the_deadline_the_rest_is_listed_and_the_finished_stays(
    unproved: CampaignFolder, tmp_path: Path
) -> None:
    prove_all(unproved, [0], 1)
    source = Misbehaving(str(unproved.private("cluster")), str(tmp_path / "mark"), "hang")
    outcomes = prove_all(unproved, range(4), 1, secrets=source, limits=Limits(all=4.0))
    assert [outcome.failure for outcome in outcomes] == ["", *["the deadline came first"] * 3]
    aggregation = aggregate_campaign(unproved)
    assert aggregation.proved == (0,)
    assert sorted(aggregation.missing) == [1, 2, 3]


def test_everything_that_ray_starts_listens_on_loopback_only() -> None:
    """Found among the processes that share this session's token, which no others have."""
    token = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
    listening = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if token in (process / "environ").read_bytes().split(b"\0") or process.name == str(os.getpid()):
                inodes = {str(link.readlink()) for link in (process / "fd").iterdir()}
                listening += [address for address, inode in sockets() if f"socket:[{inode}]" in inodes]
    assert listening, "found nothing: the test shows nothing"
    assert all(address in LOOPBACK for address in listening), listening


#: 127.0.0.1 and the same mapped into IPv6, as the kernel prints them.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


def sockets() -> list[tuple[str, str]]:
    """Address and inode of every listening TCP socket."""
    rows = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                rows.append((fields[1].partition(":")[0], fields[9]))
    return rows


def test_one_session_a_process() -> None:
    with (
        pytest.raises(CampaignError, match="open in this process already"),
        session.local_session(1),
    ):
        pass
