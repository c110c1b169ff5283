"""`pvcnn infer`: in this process, on a Ray of its own, and on a cluster of the owner's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.folder import ANSWERS, REGISTRY, CampaignFolder
from pvcnn.cli.main import run
from pvcnn.compute import in_process, session, staff
from tests.campaign.dishonest import smuggle
from tests.campaign.tiny import prepare, submit

HONEST, HOSTILE = 4, 1
Infer = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def _submitted(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    folder, _, _, fingerprint = prepare(tmp_path_factory.mktemp("submitted") / "campaign")
    submit(folder, fingerprint, testers=2, each=2, seed=5)
    smuggle(folder, "hostile", b"\xa1\x61")
    return folder


@pytest.fixture
def submitted(_submitted: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    """Five submissions, one of which is no ciphertext; the registry is open."""
    shutil.copytree(_submitted.root, tmp_path / "campaign")
    return CampaignFolder(tmp_path / "campaign")


@pytest.fixture
def infer(submitted: CampaignFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Infer:
    """Runs the command; its JSON, with the processes that evaluated as `processes` (None: this one)."""

    def call(*arguments: str, expected: int = 0) -> dict[str, Any]:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        capsys.readouterr()
        assert run(["infer", str(submitted.root), *arguments, "--log", str(log), "--json"]) == expected
        report: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        report["processes"] = [line.get("process") for line in lines if line["event"] == "started"]
        return report

    return call


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ray's names of the nodes of every session that is opened on this machine."""
    names: list[str] = []
    opened = session.local_session

    @contextmanager
    def watched(*arguments: Any) -> Iterator[None]:
        with opened(*arguments):
            import ray

            names.extend(node["NodeID"] for node in ray.nodes())
            yield

    monkeypatch.setattr(session, "local_session", watched)
    return names


def test_few_submissions_start_no_ray(submitted: CampaignFolder, infer: Infer, sessions: list[str]) -> None:
    report = infer()
    assert (report["registered"], len(report["refused"]), report["failed"]) == (HONEST + HOSTILE, HOSTILE, {})
    assert report["processes"] == [None] * (HONEST + HOSTILE)
    before = {index: submitted.public.read_indexed(ANSWERS, index) for index in range(5)}
    again = infer("--workers", "2", "--time-limit", "60")
    assert again["processes"] == []
    assert {name: again[name] for name in ("registered", "refused", "registry")} == {
        name: report[name] for name in ("registered", "refused", "registry")
    }
    assert before == {index: submitted.public.read_indexed(ANSWERS, index) for index in range(5)}
    assert sessions == []


def test_one_worker_is_this_process(infer: Infer, sessions: list[str]) -> None:
    assert infer("--workers", "1")["processes"] == [None] * 5
    assert sessions == []


def test_where_it_pays_the_rest_goes_to_workers_in_a_session_of_the_owners(
    submitted: CampaignFolder, infer: Infer, sessions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "RAY_START_SECONDS", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    processes = infer()["processes"]
    assert processes[:2] == [None, None]
    assert len(processes) == 5
    assert None not in processes[2:]
    assert run(["prove", str(submitted.root), "--workers", "1"]) == 0
    assert len(sessions) == len(set(sessions)) == 2, "the cluster's is another"


def test_what_fails_is_listed(submitted: CampaignFolder, infer: Infer) -> None:
    upload = next(path for path in submitted.mail("owner").glob("*.sealed") if path.stat().st_size > 1000)
    run(["infer", str(submitted.root), "--deadline", "0.000001"])  # closes the registry, evaluates nothing
    assert not submitted.public.indices(ANSWERS)
    upload.unlink()
    report = infer("--workers", "1", expected=1)
    (failure,) = report["failed"].values()
    assert upload.name in failure
    assert len(submitted.public.indices(ANSWERS)) == 4


def test_whether_it_pays() -> None:
    assert not in_process.ray_pays(0.1, 50, 2)
    assert in_process.ray_pays(0.1, 200, 2)
    assert not in_process.ray_pays(10.0, 1000, 1), "one processor gains nothing"


def test_a_cluster_of_the_owners_own(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    hired: list[staff.Staff] = []
    hire = staff.Staff.hire

    def counted(self: staff.Staff) -> None:
        hired.append(self)
        hire(self)

    monkeypatch.setattr(staff.Staff, "hire", counted)
    monkeypatch.setenv("RAY_ADDRESS", "")  # so that what the command sets is undone
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        report = infer("--address", cluster.address)
    finally:
        cluster.shutdown()
    assert len(report["processes"]) == 5
    assert len(hired) == 2, (
        "one worker a processor of the cluster, though one may do all before the other starts"
    )
    assert None not in report["processes"]


def test_a_registry_of_somebody_else_is_refused(
    submitted: CampaignFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(submitted.root, other)
    for root in (submitted.root, other):
        run(["infer", str(root), "--deadline", "0.000001"])
    smaller = CampaignFolder(other)
    shutil.rmtree(smaller.remembered("owner"))
    next(smaller.mail("owner").glob("*.registration.cbor")).unlink()
    smaller.public.file(REGISTRY).unlink()
    run(["infer", str(other), "--deadline", "0.000001"])
    shutil.copy(smaller.public.file(REGISTRY), submitted.public.file(REGISTRY))
    assert run(["infer", str(submitted.root)]) == 1
    assert "not the one that this owner closed" in capsys.readouterr().err
    assert not submitted.public.indices(ANSWERS)
