"""Log lines say what happened to which submission, and hold nothing that is secret."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.campaign.artefacts.signed import fingerprint
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.cli.main import run
from pvcnn.compute.events import Event, Kind, WorkerName
from pvcnn.compute.logs import LOGGER, EventLog, logged_to
from pvcnn.errors import CampaignError
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.keys import generate
from pvcnn.program.private import private_evaluate
from tests.campaign.dishonest import plan_of, smuggle
from tests.campaign.tiny import Played, prepare, submit
from tests.compute import leaks


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_names_campaign_tester_worker_and_steps(played: Played, tmp_path: Path) -> None:
    proceedings = Proceedings.read(played.folder.public)
    path = tmp_path / "log"
    worker = WorkerName("10.1.2.3", "node", 77)
    with logged_to(path):
        log = EventLog("prove", proceedings)
        log(Event(Kind.STARTED, 2, worker, attempt=1))
        log(Event(Kind.FALSE, 2, worker, 'not "valid"\n{"event": "done"}', attempt=1))
        log(Event(Kind.DONE, 2, worker, attempt=2, seconds={"prove": 1.23456}))
        log(Event(Kind.WAITING, -1))
        log(Event(Kind.FAILED, 1, detail="the deadline came first"))
    logging.getLogger(LOGGER).error("after it is closed")
    started, false, done, waiting, failed = lines(path)
    common = {"campaign": proceedings.manifest.campaign.hex()[:16], "work": "prove"}
    tester = fingerprint(proceedings.registry.registrations[2].signer)[:16]
    at = common | {"submission": 2, "tester": tester, "host": "10.1.2.3", "process": 77}
    age = datetime.now(UTC) - datetime.fromisoformat(started.pop("time"))
    assert timedelta(0) < age < timedelta(minutes=1)
    assert started == at | {"level": "info", "event": "started", "frames": 1, "attempt": 1}
    assert (false["level"], false["detail"]) == ("warning", 'not "valid"\n{"event": "done"}')
    assert (done["event"], done["attempt"], done["seconds"]) == ("done", 2, {"prove": 1.2346})
    assert {name: waiting[name] for name in waiting if name != "time"} == common | {
        "level": "warning",
        "event": "waiting",
    }
    assert (failed["level"], failed["submission"], failed["attempt"]) == ("error", 1, 0)


def test_nothing_else_gets_into_a_line(played: Played, tmp_path: Path) -> None:
    """Neither arguments of a message nor an exception, which may hold values."""
    path = tmp_path / "log"
    with logged_to(path):
        try:
            raise ValueError("a secret")
        except ValueError:
            logging.getLogger(LOGGER).exception("words", extra={"feature": "a secret"})
        logging.getLogger("another").error("a secret")
    assert [line["event"] for line in lines(path)] == ["words"]
    assert "secret" not in path.read_text()


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot write the log"), logged_to(tmp_path / "none" / "log"):
        pass


def test_a_whole_campaign_is_logged_without_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Among the submissions is one that the owner refuses, and one whose features the cluster refuses."""
    folder, private, public, card = prepare(tmp_path / "campaign")
    _, frames, _, _ = submit(folder, card, testers=1, each=2, seed=9)
    smuggle(folder, "hostile", b"\xa1\x61")
    _, foreign_key, _ = generate(plan_of(folder))
    smuggle(folder, "foreign", encrypt_frame(plan_of(folder), foreign_key, frames[0]))
    log = tmp_path / "log"
    assert run(["infer", str(folder.root), "--log", str(log)]) == 0
    assert run(["prove", str(folder.root), "--workers", "1", "--log", str(log)]) == 1
    printed = capsys.readouterr()

    features = private_evaluate(private, np.stack(frames))
    cluster = ClusterSecrets.load_from(folder.private("cluster"))
    why_refused = (folder.private("cluster") / "refusals.log").read_bytes()
    wanted = (
        leaks.owners(folder)
        | leaks.keys(folder, "cluster")
        | leaks.needles(cluster.decryption_key[-4096:])
        | leaks.of_numbers(features)
        | leaks.of_numbers(np.stack(frames))
        | leaks.needles(public.weights.weight["first"].tobytes())
        | {why_refused.split(b"SubmissionRefused: ")[1][:40]}
    )
    ends = [(line["work"], line["event"]) for line in lines(log) if line["event"] in ("done", "failed")]
    assert Counter(ends) == {("infer", "done"): 4, ("prove", "done"): 2, ("prove", "failed"): 1}
    for text in (log.read_bytes(), printed.out.encode(), printed.err.encode()):
        assert not [needle for needle in wanted if needle in text]

    with logged_to(log):  # planted: a detail that should not be one
        detail = f"feature {float(features.flat[0])!r}"
        EventLog("prove", Proceedings.read(folder.public))(Event(Kind.FAILED, 0, detail=detail))
    assert [needle for needle in wanted if needle in log.read_bytes()], "a secret would go unnoticed"
