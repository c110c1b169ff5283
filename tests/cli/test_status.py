"""`pvcnn status`: at each step, with parts of the folder missing, and in hostile folders."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.folder import AGGREGATE, ANSWERS, MANIFEST, REGISTRY, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.cli.main import run
from pvcnn.compute import environment
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.keys import generate
from tests.campaign.dishonest import plan_of, smuggle
from tests.campaign.tiny import Played, play, prepare, private_part, prove_all, public_part, submit

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Call:
    """The JSON of `pvcnn status DIR`, after checking that people get something to read, too."""

    def call(path: Path, *arguments: str, expected: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert run(["status", str(path), *arguments]) == expected
        assert "how far" in capsys.readouterr().out
        assert run(["status", str(path), *arguments, "--json"]) == expected
        report: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return report

    return call


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("played") / "campaign")


@pytest.fixture
def copy(played: Played, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(played.folder.root, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


def commands(report: dict[str, Any]) -> list[str]:
    return [each["command"].split()[1] for each in report["next"]]


def done(report: dict[str, Any]) -> list[str]:
    return [step["name"] for step in report["steps"] if step["done"]]


def files(root: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def test_each_step_says_who_comes_next(tmp_path: Path, status: Call) -> None:
    folder = CampaignFolder.create(tmp_path / "campaign")
    root = folder.root
    assert commands(status(root)) == ["split"]
    owner = OwnerRole.create(folder)
    owner.publish_split(private_part(1), public_part(1))
    assert commands(status(root)) == ["keygen"]
    fingerprint = make_keys(folder).fingerprint
    assert commands(status(root)) == ["setup"]
    run_setup(folder, 4)
    report = status(root)
    assert (commands(report), done(report)) == (["setup"], ["split", "keygen"])
    assert "not signed" in report["steps"][2]["detail"]
    owner.publish_manifest()
    assert commands(status(root)) == ["encrypt"]
    roles, *_ = submit(folder, fingerprint, testers=1, each=2, seed=3)
    report = status(root)
    assert commands(report) == ["encrypt", "infer"]
    assert report["steps"][3]["detail"] == "2 delivered, none registered yet"
    owner.close_registry()
    assert commands(status(root)) == ["infer"]
    owner.infer(1)
    report = status(root)
    assert commands(report) == ["infer", "prove"]
    assert (report["counts"]["unanswered"], report["counts"]["unproved"]) == (1, 1)
    owner.infer(0)
    assert commands(status(root)) == ["prove"]
    prove_all(folder, 1)
    report = status(root)
    assert commands(report) == ["prove", "aggregate"]
    assert (report["counts"]["proved"], report["to_aggregate"], report["verified"]) == (1, 1, None)
    prove_all(folder, 2)
    aggregate_campaign(folder)
    report = status(root)
    assert commands(report) == ["open-labels", "verify"]
    assert report["verified"] is True
    roles[0].open_labels()
    report = status(root)
    assert commands(report) == ["verify"]
    assert len(done(report)) == len(report["steps"])


def test_it_reads_and_changes_nothing(copy: CampaignFolder, status: Call) -> None:
    shutil.rmtree(copy.root / "private")
    before = files(copy.root)
    status(copy.root)
    assert files(copy.root) == before


def test_the_public_folder_alone_and_what_it_does_not_show(
    copy: CampaignFolder, tmp_path: Path, status: Call
) -> None:
    whole = status(copy.root)
    assert whole["unseen"] == []
    assert whole["private"] == ["cluster", "owner", "tester-0", "tester-1"]
    copy.public.indexed(STATEMENTS, 2).unlink()
    for name in ("public", "under-another-name"):
        shutil.copytree(copy.public.path, tmp_path / "alone" / name)
        report = status(tmp_path / "alone" / name)
        assert report["counts"]["unproved"] == 1
        assert "Proofs are not here" in " ".join(report["unseen"])
        assert "mail is not here" in " ".join(report["unseen"])
        assert report["private"] == []
    here = status(copy.root)
    assert (here["counts"]["proved"], here["to_aggregate"], commands(here)) == (4, 1, ["aggregate"])


def test_refusals_and_where_their_reasons_are(tmp_path: Path, status: Call) -> None:
    folder, _, _, fingerprint = prepare(tmp_path / "campaign")
    _, frames, _, _ = submit(folder, fingerprint, testers=1, each=1, seed=3)
    smuggle(folder, "hostile", b"\xa1\x61")
    _, foreign_key, _ = generate(plan_of(folder))
    smuggle(folder, "foreign", encrypt_frame(plan_of(folder), foreign_key, frames[0]))
    owner = OwnerRole.open(folder.root)
    owner.close_registry()
    for index in range(3):
        owner.infer(index)
    prove_all(folder, 3)
    report = status(folder.root)
    counts = {state: count for state, count in report["counts"].items() if count}
    assert counts == {"proved": 1, "refused by the owner": 1, "refused by the cluster": 1}
    assert report["refusals_log"] == str(folder.private("cluster") / "refusals.log")
    assert any("CBOR" in each["reason"] for each in report["submissions"])
    assert "outside [" not in json.dumps(report), "the cluster's reasons stay in its log"
    aggregate_campaign(folder)
    assert status(folder.root)["verified"] is True
    shutil.rmtree(folder.private("cluster"))
    report = status(folder.root)
    assert report["refusals_log"] is None
    assert "own log, which is not here" in " ".join(report["unseen"])


def test_what_does_not_verify_is_said(copy: CampaignFolder, status: Call) -> None:
    statements = [copy.public.indexed(STATEMENTS, index) for index in (0, 1)]
    first, second = (path.read_bytes() for path in statements)
    statements[0].write_bytes(second)
    statements[1].write_bytes(first)
    report = status(copy.root, expected=1)
    assert report["verified"] is False
    assert "another submission" in report["fault"]


def test_a_faulty_file_concerns_its_submission_only(copy: CampaignFolder, status: Call) -> None:
    copy.public.indexed(ANSWERS, 3).write_bytes(copy.public.read_indexed(ANSWERS, 1))
    context = Proceedings.read(copy.public).submission(copy.public, 2).context
    copy.outcome(context).write_bytes(b"\xa1")
    copy.public.indexed(STATEMENTS, 2).unlink()
    report = status(copy.root, expected=1)
    states = [each["state"] for each in report["submissions"]]
    assert states == ["proved", "proved", "faulty", "faulty"]
    assert "remove it and prove again" in report["submissions"][2]["reason"]
    assert "another submission" in report["submissions"][3]["reason"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _huge(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.truncate(1 << 32)


@pytest.mark.parametrize("damage", [_cut, _pipe, _link, _directory, _huge])
@pytest.mark.parametrize("which", [MANIFEST, REGISTRY, AGGREGATE, ANSWERS, STATEMENTS, "outcome"])
def test_hostile_files_are_errors_of_the_usual_kind(
    copy: CampaignFolder, which: Any, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    if which in (ANSWERS, STATEMENTS):
        damage(copy.public.indexed(which, 1))
    elif which == "outcome":
        copy.public.indexed(STATEMENTS, 1).unlink()
        damage(copy.outcome(Proceedings.read(copy.public).submission(copy.public, 1).context))
    else:
        damage(copy.public.file(which))
    assert run(["status", str(copy.root)]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_names_from_the_folder_cannot_write_on_the_terminal(
    copy: CampaignFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy.public.path / "\x1b]0;title\x07[red]").touch()
    assert run(["status", str(copy.root)]) == 2
    assert "\x1b]0" not in capsys.readouterr().err


def test_no_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere" / "public"):
        assert run(["status", str(path)]) == 2
        assert "`pvcnn" in capsys.readouterr().err


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """The dashboard's address of a Ray head on loopback."""
    environment.settle()
    from ray.cluster_utils import Cluster

    port = free_port()
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "dashboard_port": port,
            "dashboard_agent_listen_port": free_port(),
        },
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        cluster.shutdown()


def run_job(client: Any, name: str, entrypoint: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.submit_job(entrypoint=entrypoint, submission_id=name)
            break
        except RuntimeError as error:  # the head says that it is there before all of it is
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    while not client.get_job_status(name).is_terminal():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_jobs_of_this_campaign_are_listed(
    copy: CampaignFolder, head: str, status: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.job_submission import JobSubmissionClient

    monkeypatch.setenv("RAY_ADDRESS", head)
    prefix = f"pvcnn-{Proceedings.read(copy.public).registry.digest().hex()[:16]}-"
    client = JobSubmissionClient(head)
    names = [f"{prefix}1", "pvcnn-0123456789abcdef-1", f"{prefix}2"]
    for name, entrypoint in zip(names, ["true", "true", "false"], strict=True):
        run_job(client, name, entrypoint)
    jobs = status(copy.root, "--address", head)["jobs"]
    assert [(job["name"], job["state"]) for job in jobs] == [
        (f"{prefix}1", "SUCCEEDED"),
        (f"{prefix}2", "FAILED"),
    ]
    assert all(job["started"] <= job["ended"] for job in jobs)


def test_a_job_server_that_is_not_there(
    copy: CampaignFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert run(["status", str(copy.root), "--address", "http://127.0.0.1:1"]) == 2
    assert "does not answer" in capsys.readouterr().err
