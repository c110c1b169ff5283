"""Whole streams of a tiny network: every frame is decided or flagged once, every segment verifies alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.roles import aggregator, encrypting
from pvcnn.campaign.verification import auditor
from pvcnn.compute.session import local_session
from pvcnn.errors import CampaignError
from pvcnn.he import encryption
from pvcnn.he.keys import generate
from pvcnn.stream import decisions
from pvcnn.stream.base import make_base
from pvcnn.stream.captures import CameraSource, VideoSource
from pvcnn.stream.cropping import Crop
from pvcnn.stream.events import FrameEvent, NoteEvent, SegmentEvent, StreamEvent, Summary, to_json
from pvcnn.stream.options import Control, StreamOptions
from pvcnn.stream.pool import WorkerPool
from pvcnn.stream.run import run_stream
from pvcnn.stream.sources import Source
from pvcnn.stream.watched_folder import FolderSource
from tests.campaign.revealing import revealing
from tests.stream.pictures import FakeCapture, encoded, fill, picture, tiny_model, write_video


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with local_session(4):
        yield


@dataclass
class Run:
    """What a stream said and left."""

    directory: Path
    events: list[StreamEvent] = field(default_factory=list)
    summary: Summary | None = None

    @property
    def frames(self) -> list[FrameEvent]:
        return [event for event in self.events if isinstance(event, FrameEvent)]

    @property
    def segments(self) -> list[SegmentEvent]:
        return [event for event in self.events if isinstance(event, SegmentEvent)]

    @property
    def review(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "review.jsonl").read_text().splitlines()]

    def check(self) -> Summary:
        """Conservation: each frame ends once, proved or on the list; and each segment holds by itself."""
        summary = self.summary
        assert summary is not None
        numbers = [event.number for event in self.frames]
        assert sorted(numbers) == list(range(summary.frames))
        proved = {event.number for event in self.frames if event.proved}
        flagged = [entry["number"] for entry in self.review]
        assert proved | set(flagged) == set(numbers)
        assert len(proved) + len(flagged) == len(numbers)
        assert (summary.proved, summary.flagged) == (len(proved), len(flagged))
        assert sum(summary.reasons.values()) == summary.flagged
        assert summary.segments == len(self.segments)
        for segment in self.segments:
            try:
                verdict = auditor.verify(self.directory / segment.segment)
            except CampaignError:
                assert segment.proved == 0, "only where nothing was proved there is no aggregate"
                continue
            assert (verdict.verified, verdict.proved) == (segment.verified, segment.proved)
            decisions = {each.index: each.decisions for each in verdict.outcomes}
            here = [event for event in self.frames if event.segment == segment.segment and event.proved]
            assert {event.index: (event.decision,) for event in here} == {
                index: found for index, found in decisions.items() if found
            }
        assert not list(self.directory.rglob(".partial-*"))
        return summary


def run(
    source: Source,
    directory: Path,
    options: StreamOptions,
    *,
    control: Control | None = None,
    watch: Any = lambda event: None,
) -> Run:
    result = Run(directory)

    def listen(event: StreamEvent) -> None:
        result.events.append(event)
        watch(event)

    @contextmanager
    def session(processors: int) -> Iterator[None]:
        yield

    result.summary = run_stream(source, directory, tiny_model, options, listen, control, session)
    return result


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


def test_a_folder_that_is_filled_while_the_stream_runs(inbox: Path, tmp_path: Path) -> None:
    fill(inbox, 3)
    (inbox / "broken.png").write_bytes(encoded(picture(50))[:-9])
    (inbox / "small.png").write_bytes(encoded(picture(51, 8, 8)))
    (inbox / "link.png").symlink_to(inbox / "frame-000.png")
    begun = threading.Event()

    def camera() -> None:
        begun.wait(60)
        for number in range(3, 12):
            fill(inbox, 1, number)
            time.sleep(0.05)

    thread = threading.Thread(target=camera)
    thread.start()
    options = StreamOptions(every=4, seconds=60, window=6, idle_seconds=1.5, workers=1)
    result = run(FolderSource(inbox), tmp_path / "out", options, watch=lambda event: begun.set())
    thread.join()

    summary = result.check()
    assert (summary.frames, summary.proved, summary.flagged) == (15, 12, 3)
    assert summary.reasons == {"unreadable": 3}
    assert {entry["name"] for entry in result.review} == {"broken.png", "small.png", "link.png"}
    assert [segment.closed_by for segment in result.segments][:2] == ["frames", "frames"]
    assert all(segment.verified and segment.frames == 4 for segment in result.segments)
    assert summary.segments_verified == summary.segments == 3
    assert 1 <= summary.peak_in_flight <= 6
    assert not summary.complete, "three frames are left to people"
    assert summary.ended.startswith("nothing new")
    check_decisions(result)
    check_public_folders(result, tmp_path)
    check_secrets(result)


def check_decisions(result: Run) -> None:
    """Each frame has the decision of its own picture."""
    decisions = {event.name: event.decision for event in result.frames if event.proved}
    assert decisions == {f"frame-{number:03d}.png": number % 2 for number in range(12)}


def check_public_folders(result: Run, tmp_path: Path) -> None:
    """Public folders suffice, manifests differ, and proofs and statements are where events say."""
    campaigns = set()
    for number, segment in enumerate(result.segments):
        copy = tmp_path / f"copy-{number}" / "public"
        shutil.copytree(result.directory / segment.segment / "public", copy)
        campaigns.add(auditor.verify(copy).campaign)
    assert len(campaigns) == len(result.segments)
    for event in result.frames:
        if event.proved:
            assert event.proof is not None
            assert event.statement is not None
            outcome = ClusterOutcome.from_bytes((result.directory / event.proof).read_bytes())
            assert outcome.proof is not None
            assert outcome.proof.statement.to_bytes() == (result.directory / event.statement).read_bytes()


def check_secrets(result: Run) -> None:
    """No key of anyone's is in what is published or printed, and private files are their roles' alone."""
    base = CampaignFolder(result.directory / "base")
    secrets = []
    for role in ("owner", "cluster", "tester-camera"):
        for path in base.private(role).iterdir():
            if path.is_file() and "prepared_key" not in path.name:
                assert path.stat().st_mode & 0o777 == 0o600
                secrets.append(path.read_bytes())
    identity = (base.private("owner") / "identity.cbor").read_bytes()
    secrets += [identity[-32:], identity[-80:-48]]
    said = json.dumps([to_json(event) for event in result.events]).encode()
    published = [path.read_bytes() for path in result.directory.glob("*/**/public/**/*") if path.is_file()]
    assert len(published) > 30
    for text in [said, (result.directory / "review.jsonl").read_bytes(), *published]:
        for secret in secrets:
            assert secret not in text
            assert secret.hex().encode() not in text
    kept = {path.name for path in result.directory.glob("segments/*/private/**/*") if path.is_file()}
    assert {name for name in kept if not name.startswith(("answer-", "registry"))} == {"identity.cbor"}


def test_segments_close_by_time_and_when_the_window_is_full(inbox: Path, tmp_path: Path) -> None:
    fill(inbox, 5)
    options = StreamOptions(
        every=100, seconds=0.7, window=3, idle_seconds=1.5, workers=1, crop=Crop(0, 0, 16, 16)
    )
    result = run(FolderSource(inbox), tmp_path / "out", options)
    summary = result.check()
    assert summary.complete
    assert [(segment.frames, segment.closed_by) for segment in result.segments] == [
        (3, "window"),
        (2, "seconds"),
    ]
    assert summary.peak_in_flight == 3


@pytest.fixture
def provers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process numbers of the pools' workers, owner's first, once they are started."""
    import ray

    processes: list[int] = []
    start = WorkerPool.start

    def noting(self: WorkerPool) -> None:
        start(self)
        processes.extend(name.process for name in ray.get([a.identify.remote() for a in self._actors]))

    monkeypatch.setattr(WorkerPool, "start", noting)
    return processes


def test_whatever_fails_is_flagged_once_and_the_rest_is_proved(
    inbox: Path, tmp_path: Path, provers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that the owner refuses, one that the cluster refuses, a broken file, killed workers."""
    fill(inbox, 8)
    (inbox / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    encrypt, calls = encryption.encrypt_frame, Counter[str]()
    killed: list[int] = []

    def sabotage(plan: Any, key: Any, frame: Any) -> bytes:
        calls["encrypt"] += 1
        if calls["encrypt"] == 2:
            return encrypt(plan, key, frame)[:-1]
        return encrypt(plan, generate(plan)[1] if calls["encrypt"] == 5 else key, frame)

    def kill(event: StreamEvent) -> None:
        if isinstance(event, FrameEvent) and event.proved and not killed:
            for process in provers:
                os.kill(process, signal.SIGKILL)
            killed.extend(provers)

    monkeypatch.setattr(encrypting, "encrypt_frame", sabotage)
    options = StreamOptions(every=4, seconds=60, window=32, idle_seconds=1.5, workers=2)
    result = run(FolderSource(inbox), tmp_path / "out", options, watch=kill)
    summary = result.check()
    assert len(killed) == 3, "two provers and one evaluator"
    assert any(isinstance(event, NoteEvent) and "it died" in event.note for event in result.events)
    assert summary.reasons == {"refused by the owner": 1, "not proved": 1, "unreadable": 1}
    assert (summary.frames, summary.proved) == (9, 6)
    assert summary.segments_verified == 2, "signed refusals are no gap in a segment"
    logs = list(result.directory.glob("segments/*/private/cluster/refusals.log"))
    assert len(logs) == 1


def test_a_segment_whose_aggregate_is_damaged_takes_its_decisions_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregate = aggregator.aggregate_campaign

    def damaging(folder: CampaignFolder) -> Any:
        result = aggregate(folder)
        if folder.root.name == "000001":
            path = folder.public.path / "aggregate.cbor"
            path.write_bytes(path.read_bytes()[:-1] + b"\0")
        return result

    monkeypatch.setattr(decisions, "aggregate_campaign", damaging)
    write_video(tmp_path / "v.avi", 4, noise=True)
    result = run(VideoSource(tmp_path / "v.avi"), tmp_path / "out", StreamOptions(every=2, workers=1))
    assert result.summary is not None
    verified = {segment.segment: segment.verified for segment in result.segments}
    assert verified == {"segments/000000": True, "segments/000001": False}
    assert (result.summary.proved, result.summary.flagged) == (2, 2)
    assert {entry["segment"] for entry in result.review} == {"segments/000001"}
    assert all(entry["reason"].startswith("segment not verified") for entry in result.review)
    assert not result.summary.complete


def test_a_camera_waits_for_nobody_and_stops_when_told(tmp_path: Path) -> None:
    control = Control()

    def stop_at_the_first_decision(event: StreamEvent) -> None:
        if isinstance(event, FrameEvent) and event.proved and not control.stopping.is_set():
            control.stop()

    device = FakeCapture(1 << 30)
    options = StreamOptions(every=2, seconds=60, window=4, workers=1)
    source = CameraSource(0, 50, lambda index: device)
    result = run(source, tmp_path / "out", options, control=control, watch=stop_at_the_first_decision)
    summary = result.check()
    assert summary.ended == "stopped"
    assert summary.reasons.keys() == {"dropped"}
    assert summary.peak_in_flight == 4
    assert summary.proved >= 2, "what was in flight was finished"
    assert summary.segments_verified == summary.segments
    assert device.released


def test_the_second_interruption_flags_what_is_in_flight(inbox: Path, tmp_path: Path) -> None:
    fill(inbox, 12)
    control = Control()

    def stop_twice(event: StreamEvent) -> None:
        if isinstance(event, FrameEvent) and event.proved and not control.abandoning.is_set():
            control.stop()
            control.stop()

    options = StreamOptions(every=6, seconds=60, idle_seconds=30, workers=1)
    result = run(FolderSource(inbox), tmp_path / "out", options, control=control, watch=stop_twice)
    summary = result.check()
    assert 0 < summary.proved < 12
    assert summary.proved + summary.flagged == 12
    assert all(entry["reason"].endswith(": interrupted") for entry in result.review)
    assert any(segment.proved for segment in result.segments), "what was proved is aggregated all the same"


def test_nothing_comes(inbox: Path, tmp_path: Path) -> None:
    result = run(FolderSource(inbox), tmp_path / "out", StreamOptions(idle_seconds=0.2, workers=1))
    summary = result.check()
    assert (summary.frames, summary.segments, summary.complete) == (0, 0, False)
    assert summary.latency_median is None
    with pytest.raises(CampaignError, match="not an empty directory"):
        run(FolderSource(inbox), tmp_path / "out", StreamOptions())


@pytest.mark.parametrize("options", [{"every": 0}, {"every": 1025}, {"window": 0}])
def test_options_are_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="frame"):
        StreamOptions(**options)  # type: ignore[arg-type]


def test_a_program_that_takes_labels_is_refused(tmp_path: Path) -> None:
    """A stream has none."""
    model = tiny_model()
    counting = replace(model, public=revealing(model.public, "correct"))
    with pytest.raises(CampaignError, match="no labels"):
        make_base(tmp_path, counting, 2)
    assert not list(tmp_path.iterdir())
