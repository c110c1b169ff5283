"""Campaigns as jobs of a real Ray cluster: whatever ends early, nothing finished is lost or made twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.audit_secret import AuditSecret
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.verification import auditor
from pvcnn.cli.main import run
from pvcnn.compute.events import Kind
from pvcnn.compute.job import JobSettings
from pvcnn.compute.job_board import JobBoard
from pvcnn.compute.job_events import Delivered, Happened, JobEvent, KeysHeld, KeysWanted
from pvcnn.compute.submission import Submission, Submitted
from tests.compute.ray_head import RayHead
from tests.compute.secret_scan import files_below, found, stored_in_gcs

from ray.job_submission import JobSubmissionClient  # isort: skip - pvcnn.compute settles Ray's network first

#: Ray's own way to follow a log.
pytestmark = pytest.mark.filterwarnings("ignore:ssl=None is deprecated:DeprecationWarning")


def registry_of(folder: CampaignFolder) -> bytes:
    return Proceedings.read(folder.public).registry.digest()


def proofs_of(folder: CampaignFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.proofs.iterdir()}


class Job:
    """The latest attempt of a campaign, watched through its log while it runs."""

    def __init__(self, head: RayHead, folder: CampaignFolder, attempt: int) -> None:
        self._head = head
        self._registry = registry_of(folder)
        self.name = JobBoard(head.address, self._registry).name(attempt)

    def events(self) -> list[JobEvent]:
        return self._head.events(self._registry, self.name)

    def delivered(self) -> list[int]:
        return [event.index for event in self.events() if isinstance(event, Delivered)]

    def happened(self, kind: Kind) -> list[Happened]:
        return [event for event in self.events() if isinstance(event, Happened) and event.event.kind is kind]

    def wait_until_delivered(self, count: int, running: Future[Submitted]) -> None:
        self._head.wait_for(lambda: running.done() or len(self.delivered()) >= count)
        assert not running.done(), running.result()


@pytest.fixture
def background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor()


def submit_aside(
    head: RayHead, folder: CampaignFolder, settings: JobSettings, pool: ThreadPoolExecutor
) -> Future[Submitted]:
    return pool.submit(Submission.to(head.address, folder.root, settings).run)


def mounted(folder: CampaignFolder, workers: int) -> JobSettings:
    """Keys that workers find on their machine, so that none are delivered."""
    return JobSettings(workers=workers, secrets=str(folder.private("cluster")))


def secrets_of(folder: CampaignFolder) -> list[bytes]:
    secrets = ClusterSecrets.load_from(folder.private("cluster"))
    identity = secrets.identity
    proceedings = Proceedings.read(folder.public)
    submissions = [proceedings.submission(folder.public, index) for index in range(16)]
    blindings = [secrets.audit.features_blinding(each.context) for each in submissions]
    return [
        secrets.decryption_key[200:],
        identity.signing.to_bytes(),
        identity.sealing.to_bytes(),
        secrets.audit.value,
        *(blinding.to_bytes(32, order) for blinding in blindings for order in ("little", "big")),
    ]


def private_to_owner(folder: CampaignFolder) -> list[bytes]:
    private = folder.root / "private" / "owner"
    audit = AuditSecret.load_from(private, "split")
    return [(private / "private_part.cbor").read_bytes()[120:], audit.value]


def test_a_killed_worker_costs_nothing_and_nothing_secret_stays(
    head: RayHead, answered: CampaignFolder, background: ThreadPoolExecutor
) -> None:
    result = submit_aside(head, answered, JobSettings(workers=2), background)
    job = Job(head, answered, 1)
    job.wait_until_delivered(5, result)
    worker = job.happened(Kind.STARTED)[-1].event.worker
    assert worker is not None
    # The courier dies too, so that the next worker's keys have to be delivered anew.
    os.kill(head.courier(), signal.SIGKILL)
    os.kill(worker.process, signal.SIGKILL)
    assert not result.done()
    done = result.result()

    assert [event.event.worker for event in job.happened(Kind.LOST)] == [worker]
    assert (done.proved, done.failed, done.attempts, done.job) == (16, {}, 1, job.name)
    assert Counter(job.delivered()) == dict.fromkeys(range(16), 1)
    wanted = [event.public_key for event in job.events() if type(event) is KeysWanted]
    assert len(set(wanted)) == len(wanted) == 2
    assert done.verified
    assert done.folded_by == "cluster"
    assert auditor.verify(answered.root).proved == 16

    # What the job leaves behind: logs, packages, working directories, GCS, what the job server says.
    client = JobSubmissionClient(head.address)
    told = [
        ("job server", repr(client.list_jobs()).encode()),
        ("log", client.get_job_logs(job.name).encode()),
    ]
    left = [*files_below(head.session), *stored_in_gcs(head.gcs_address), *told]
    names = " ".join(name for name, _ in left)
    assert "secrets.sealed" in names
    assert "gcs://_ray_pkg_" in names
    assert job.name in names
    assert found(secrets_of(answered), left) == []
    assert found(private_to_owner(answered), left) == []
    assert [each.submission_id for each in client.list_jobs() if each.submission_id] == [job.name]


def test_killed_stopped_and_raced_jobs_go_on_where_they_stopped(
    head: RayHead, answered: CampaignFolder, background: ThreadPoolExecutor
) -> None:
    first = submit_aside(head, answered, mounted(answered, 1), background)
    job = Job(head, answered, 1)
    job.wait_until_delivered(3, first)
    head.kill_driver(job.name)
    done = first.result()
    assert 3 <= done.proved < 16
    assert not done.verified
    assert set(done.failed.values()) == {"the job ended before"}
    proofs = proofs_of(answered)
    assert len(proofs) == done.proved

    # Two submit again at the same time: one job runs. It is stopped on its way.
    both = [submit_aside(head, answered, mounted(answered, 1), background) for _ in range(2)]
    second = Job(head, answered, 2)
    second.wait_until_delivered(3, both[0])
    JobSubmissionClient(head.address).stop_job(second.name)
    results = [each.result() for each in both]
    assert {each.job for each in results} == {second.name}
    assert results[0].proved < 16
    assert set(second.delivered()).isdisjoint(job.delivered())
    assert proofs.items() <= proofs_of(answered).items()

    # This machine has lost what the second job told: it is in that job's log.
    for name in proofs_of(answered).keys() - proofs.keys():
        (answered.proofs / name).unlink()
    last = submit_aside(head, answered, mounted(answered, 2), background).result()
    assert (last.proved, last.attempts, last.verified) == (16, 3, True)
    third = Job(head, answered, 3)
    made = Counter([*job.delivered(), *second.delivered(), *third.delivered()])
    assert made == dict.fromkeys(range(16), 1)
    assert proofs.items() <= proofs_of(answered).items()


def test_the_command_detaches_and_follows_and_plain_jobs_work(
    head: RayHead,
    answered: CampaignFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On storage that all machines share, Ray's own command suffices.
    shared = tmp_path / "shared"
    shutil.copytree(answered.root, shared)
    python = f"{sys.executable} -m pvcnn"
    steps = f"{python} prove {shared} --address auto --workers 1 && {python} aggregate {shared}"
    ray = Path(sys.executable).with_name("ray")
    plain = subprocess.Popen(
        [ray, "job", "submit", "--address", head.address, "--", "sh", "-c", steps],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    submit = ["submit", str(answered.root), "--address", head.address, "--workers", "1", "--json"]
    command = subprocess.Popen(
        [sys.executable, "-m", "pvcnn", *submit], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    job = Job(head, answered, 1)
    head.wait_for(lambda: any(isinstance(event, KeysHeld) for event in job.events()))
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=30)
    assert command.returncode == 130, err
    assert "detached" in err
    assert out == ""

    monkeypatch.setenv("RAY_ADDRESS", "")  # is set by the command
    assert run(submit) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["proved"], report["failed"], report["attempts"]) == (16, {}, 1)
    assert report["verified"]
    assert report["aggregate"]["folded_by"] == "cluster"
    assert 0 < report["proving"]["work_seconds"] < report["proving"]["worker_seconds"]

    output, _ = plain.communicate(timeout=60)
    assert plain.returncode == 0, output
    assert auditor.verify(shared).proved == 16
