"""A real campaign on several real Ray nodes here, of which things are killed, filled and denied."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.verification import auditor
from pvcnn.compute import proving
from pvcnn.compute.dispatcher import Limits
from pvcnn.compute.events import Event, Kind, Listener, Outcome
from pvcnn.compute.proving import Placement
from pvcnn.compute.proving_worker import SecretsInDirectory, SecretsSource, this_worker
from pvcnn.errors import CampaignError
from tests.campaign.tiny import prepare, submit
from tests.compute.nodes import Nodes, gone, nodes, wait_for_processors
from tests.compute.test_proving import _flip_decision, processor_seconds, wait_until_busy

# isort: split
import ray

ROOT = Path(__file__).resolve().parents[2]
SUBMISSIONS = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """Two nodes with a processor each."""
    with nodes() as started:
        started.add()
        yield started


@pytest.fixture(scope="module")
def inferred(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """A campaign after `infer`. Not to be changed."""
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("failures") / "campaign")
    submit(folder, fingerprint, 2, SUBMISSIONS // 2, 1)
    owner = OwnerRole.open(folder.root)
    owner.close_registry()
    for index in range(SUBMISSIONS):
        owner.infer(index)
    return folder


@pytest.fixture
def folder(inferred: CampaignFolder, tmp_path: Path, cluster: Nodes) -> CampaignFolder:
    wait_for_processors(2)
    shutil.copytree(inferred.root, tmp_path / "campaign")
    return CampaignFolder(tmp_path / "campaign")


def prove_all(
    folder: CampaignFolder,
    workers: int = 2,
    *,
    secrets: SecretsSource | None = None,
    listener: Listener = lambda event: None,
    limits: Limits | None = None,
    gpus: float = 0.0,
) -> list[Outcome]:
    return proving.prove_all(
        ClusterLedger.open(folder.root),
        folder.root,
        secrets or SecretsInDirectory(str(folder.private("cluster"))),
        range(SUBMISSIONS),
        Placement(workers, gpus=gpus),
        listener=listener,
        limits=limits,
    )


def assert_complete(folder: CampaignFolder, outcomes: list[Outcome]) -> None:
    """All proved, and everyone believes it."""
    assert [outcome.failure for outcome in outcomes] == [""] * SUBMISSIONS
    assert len(aggregate_campaign(folder).proved) == SUBMISSIONS
    verdict = auditor.verify(folder.root)
    assert verdict.verified
    assert verdict.proved == SUBMISSIONS


def retried(outcomes: list[Outcome]) -> dict[int, int]:
    return {outcome.index: outcome.attempts for outcome in outcomes if outcome.attempts != 1}


@dataclass(frozen=True)
class Secrets:
    """The cluster's, and what happens to whoever loads them. marks: notes that processes leave for others."""

    path: str
    marks: str
    node: str = ""

    def load(self) -> ClusterSecrets:
        self.before()
        return ClusterSecrets.load_from(Path(self.path))

    def before(self) -> None:
        """What happens."""

    def first(self, name: str) -> bool:
        """Whether no process has asked this before."""
        try:
            (Path(self.marks) / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def wait_for_both(self) -> None:
        """Until two workers are here."""
        (Path(self.marks) / f"here-{os.getpid()}").touch()
        while len(list(Path(self.marks).glob("here-*"))) < 2:
            time.sleep(0.01)


def made(kind: type[Secrets], folder: CampaignFolder, node: str = "") -> Secrets:
    marks = folder.root.parent / "marks"
    marks.mkdir(exist_ok=True)
    return kind(str(folder.private("cluster")), str(marks), node)


class KilledWhileOpening(Secrets):
    def before(self) -> None:
        if self.first("killed"):
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_killed_while_it_opens_keys(folder: CampaignFolder) -> None:
    outcomes = prove_all(folder, secrets=made(KilledWhileOpening, folder))
    assert not retried(outcomes)
    assert_complete(folder, outcomes)


@pytest.mark.parametrize("moment", ["while proving", "between two submissions"])
def test_a_killed_worker(folder: CampaignFolder, moment: str) -> None:
    killed: list[Event] = []
    started: list[int] = []

    def kill(event: Event) -> None:
        if event.kind is not Kind.STARTED or killed:
            return
        assert event.worker is not None
        process = event.worker.process
        if moment == "while proving":
            wait_until_busy(process, processor_seconds(process))
        elif process not in started:  # its first one
            started.append(process)
            return
        os.kill(process, signal.SIGKILL)
        killed.append(event)

    outcomes = prove_all(folder, listener=kill)
    assert retried(outcomes) == {killed[0].index: 2}
    assert_complete(folder, outcomes)


class Together(Secrets):
    """No worker begins before there are two: so each machine has one."""

    def before(self) -> None:
        self.wait_for_both()


class Laborious(Together):
    """Proves each for seconds, again and again, so that whoever is at work is proving."""

    def before(self) -> None:
        def work(honest: Callable[..., Any], prover: Any, index: int) -> Any:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                examined = honest(prover, index)
            return examined

        super().before()
        replace_examine(work)


def test_a_machine_that_dies_while_it_proves(folder: CampaignFolder, cluster: Nodes) -> None:
    [doomed] = cluster.others
    killed: list[Event] = []
    events: list[Event] = []

    def kill(event: Event) -> None:
        events.append(event)
        worker = event.worker
        if event.kind is Kind.STARTED and worker and worker.node == doomed.node_id and not killed:
            wait_until_busy(worker.process, processor_seconds(worker.process))
            cluster.kill(doomed)
            killed.append(event)

    try:
        outcomes = prove_all(folder, secrets=made(Laborious, folder), listener=kill)
    finally:
        if killed:
            cluster.add()
    assert retried(outcomes) == {killed[0].index: 2}
    assert [event.index for event in events if event.kind is Kind.LOST] == [killed[0].index]
    assert {event.worker.node for event in events if event.kind is Kind.DONE and event.worker} == {
        cluster.head
    }
    assert_complete(folder, outcomes)


class NotOnOneMachine(Secrets):
    def before(self) -> None:
        self.wait_for_both()
        if this_worker().node == self.node:
            ClusterSecrets.load_from(Path(self.marks))  # an empty mount


def test_a_machine_without_the_secrets_is_named_and_left_out(folder: CampaignFolder, cluster: Nodes) -> None:
    events: list[Event] = []
    secrets = made(NotOnOneMachine, folder, cluster.head)
    outcomes = prove_all(folder, secrets=secrets, listener=events.append)
    unfit = [event for event in events if event.kind is Kind.UNFIT]
    assert [event.worker and event.worker.node for event in unfit] == [cluster.head]
    assert all(words in unfit[0].detail for words in ("127.0.0.1", "identity.cbor is missing", "--secrets"))
    assert_complete(folder, outcomes)


def test_where_no_machine_has_the_folder_it_is_an_error_with_a_remedy(
    folder: CampaignFolder, tmp_path: Path
) -> None:
    with pytest.raises(CampaignError, match=r"on 127\.0\.0\.1: there is no .*elsewhere.* `pvcnn submit`"):
        proving.prove_all(
            ClusterLedger.open(folder.root),
            tmp_path / "elsewhere",
            SecretsInDirectory(str(folder.private("cluster"))),
            range(SUBMISSIONS),
            Placement(2),
        )


class LyingOnOneMachine(Secrets):
    def before(self) -> None:
        self.wait_for_both()
        if this_worker().node == self.node:
            replace_examine(lambda honest, prover, index: _flip_decision(honest(prover, index)))


class Slow(Secrets):
    """Half a second for each proof, and a note of each that is made."""

    def before(self) -> None:
        def work(honest: Callable[..., Any], prover: Any, index: int) -> Any:
            time.sleep(0.5)
            examined = honest(prover, index)
            with (Path(self.marks) / "made").open("a") as handle:
                handle.write(f"{index}\n")
            return examined

        replace_examine(work)


def replace_examine(work: Callable[..., Any]) -> None:
    """In the process that calls this."""
    from pvcnn.campaign.roles.prover import SubmissionProver

    honest = SubmissionProver.examine
    SubmissionProver.examine = (  # type: ignore[method-assign]
        lambda self, index: work(honest, self, index)
    )


def test_a_lying_machine_is_named_and_the_honest_one_ends_the_campaign(
    folder: CampaignFolder, cluster: Nodes
) -> None:
    events: list[Event] = []
    secrets = made(LyingOnOneMachine, folder, cluster.head)
    outcomes = prove_all(folder, secrets=secrets, listener=events.append)
    false = [event for event in events if event.kind is Kind.FALSE]
    assert [event.worker and event.worker.node for event in false] == [cluster.head]
    assert retried(outcomes) == {false[0].index: 2}
    assert_complete(folder, outcomes)


def test_a_full_object_store_stops_nothing(folder: CampaignFolder, cluster: Nodes) -> None:
    """Nor do workers that are asked for and have no place."""
    store = next(node for node in ray.nodes() if node["NodeID"] == cluster.head)["Resources"]
    block = np.ones(8 << 20, dtype=np.uint8)
    held = [ray.put(block) for _ in range(int(2 * store["object_store_memory"]) // block.size)]
    assert len(held) * block.nbytes > 1.5 * store["object_store_memory"] > 0  # so some were spilled
    outcomes = prove_all(folder, workers=8)
    assert_complete(folder, outcomes)
    assert sum(int(ray.get(reference)[0]) for reference in held) == len(held)


def test_fractions_of_a_gpu(folder: CampaignFolder, cluster: Nodes) -> None:
    with pytest.raises(CampaignError, match="no GPU is declared"):
        prove_all(folder, gpus=0.5)
    node = cluster.add(num_cpus=2, num_gpus=1)
    events: list[Event] = []
    try:
        with pytest.raises(CampaignError, match="no GPU is declared"):
            prove_all(folder, gpus=1.5)
        outcomes = prove_all(folder, secrets=made(Together, folder), listener=events.append, gpus=0.5)
    finally:
        cluster.kill(node)
    workers = {event.worker for event in events if event.worker}
    assert len({worker.process for worker in workers}) == 2
    assert {worker.node for worker in workers} == {node.node_id}
    assert_complete(folder, outcomes)


_DRIVER = """
import sys
from tests.compute import test_failures
from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.compute.session import cluster_session
folder = CampaignFolder(test_failures.Path(sys.argv[1]))
with cluster_session(sys.argv[2]):
    test_failures.prove_all(folder, secrets=test_failures.made(test_failures.Slow, folder))
    sys.stdin.read()
"""


def test_a_killed_driver_loses_nothing_and_nothing_is_proved_twice(
    folder: CampaignFolder, cluster: Nodes
) -> None:
    """Killed before the first proof, after some, and after the last: each time it goes on from there."""
    secrets = made(Slow, folder)
    notes = Path(secrets.marks) / "made"
    notes.touch()
    taken = folder.remembered("cluster")

    def recorded() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.proofs.glob("*.cbor")}

    moments: list[Callable[[], bool]] = [
        lambda: any(taken.glob("answer-*")),
        lambda: len(recorded()) >= 2,
        lambda: len(recorded()) == SUBMISSIONS,
    ]
    before: dict[str, bytes] = {}
    counts = []
    for moment in moments:
        driver = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(folder.root), cluster.address],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            env=os.environ | {"RAY_ADDRESS": cluster.address},
        )
        try:
            deadline = time.monotonic() + 60
            while not moment():
                assert driver.poll() is None, "the driver ended by itself"
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            driver.kill()
            driver.communicate()
        wait_for_processors(2)  # its workers are gone too
        after = recorded()
        assert before.items() <= after.items()
        before = after
        counts.append(len(after))
    assert counts[0] == 0
    assert 2 <= counts[1] < counts[2] == SUBMISSIONS

    outcomes = prove_all(folder, secrets=secrets)
    assert {outcome.attempts for outcome in outcomes} == {0}
    assert recorded() == before
    # One killed between a proof and its record may have cost at most what its two workers were at.
    assert len(notes.read_text().split()) <= SUBMISSIONS + 2
    assert_complete(folder, outcomes)


def test_a_dead_head_ends_the_run_and_another_goes_on(folder: CampaignFolder) -> None:
    """Workers go on for as long as Ray lets them; then the driver ends, which is all that it can do."""
    driver = subprocess.Popen(
        [sys.executable, "-c", _OWN_HEAD, str(folder.root)],
        cwd=ROOT,
        env=os.environ | {"RAY_gcs_rpc_server_reconnect_timeout_s": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert driver.stdout is not None
        os.kill(int(driver.stdout.readline()), signal.SIGKILL)
        driver.wait(60)
    finally:
        driver.kill()
        driver.communicate()
    before = {path.name: path.read_bytes() for path in folder.proofs.glob("*.cbor")}
    assert len(before) >= 1
    outcomes = prove_all(folder)
    assert sum(outcome.attempts == 0 for outcome in outcomes) == len(before)
    assert before.items() <= {path.name: path.read_bytes() for path in folder.proofs.glob("*.cbor")}.items()
    assert_complete(folder, outcomes)


_OWN_HEAD = """
import sys
from tests.compute import test_failures
from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.compute.events import Kind
from pvcnn.compute.session import local_session
import ray
folder = CampaignFolder(test_failures.Path(sys.argv[1]))
def tell(event):
    if event.kind is Kind.DONE:
        node = ray._private.worker._global_node
        print(node.all_processes["gcs_server"][0].process.pid, flush=True)
with local_session(2):
    test_failures.prove_all(folder, secrets=test_failures.made(test_failures.Slow, folder), listener=tell)
    sys.exit()
"""


def pvcnn(*arguments: str, status: int = 0) -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-m", "pvcnn", *arguments, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == status, process.stderr
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return result


def test_what_failed_is_listed_and_the_rest_is_aggregated(folder: CampaignFolder, cluster: Nodes) -> None:
    answer = Proceedings.read(folder.public).submission(folder.public, 1).answer.answer_digest
    (folder.mail("cluster") / f"{answer.hex()}.sealed").unlink()
    root = str(folder.root)
    proved = pvcnn("prove", root, "--address", cluster.address, status=1)
    assert proved["proved"] == SUBMISSIONS - 1
    assert list(proved["failed"]) == ["1"]
    aggregated = pvcnn("aggregate", root)
    assert aggregated["proved"] == [0, 2, 3, 4, 5]
    assert aggregated["missing"] == [1]
    verdict = pvcnn("verify", root, status=1)
    assert verdict["proved"] == SUBMISSIONS - 1
    assert [row["status"] for row in verdict["submissions"]].count("proved") == SUBMISSIONS - 1


def test_the_processes_of_a_node_that_is_killed_end(cluster: Nodes) -> None:
    """What the tests above rely on."""
    node = cluster.add()
    process = node.all_processes["raylet"][0].process.pid
    cluster.kill(node)
    assert gone(process)
