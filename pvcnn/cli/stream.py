"""`pvcnn stream`: frames as they come, all roles on this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvcnn.cli.options import use_one_torch_thread, workers_option
from pvcnn.cli.output import duration, notes, plain, print_json, results
from pvcnn.cli.progress import StepProgress

if TYPE_CHECKING:
    from pvcnn.stream.cropping import Crop
    from pvcnn.stream.events import FrameEvent, SegmentEvent, StreamEvent, Summary
    from pvcnn.stream.options import Control

_TITLES = {
    "kernels": "compile or load the kernels",
    "split": "owner: split and quantise the CNN",
    "setup": "cluster and owner: make all keys, sign",
    "workers": "start Ray, open keys",
}
_positive = click.FloatRange(min=0, min_open=True)


def _parse_crop(context: click.Context, parameter: click.Parameter, text: str | None) -> Crop | None:
    from pvcnn.stream.cropping import Crop

    try:
        return None if text is None else Crop.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("stream")
@click.argument("source")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A new folder for the stream's segments.",
)
@click.option(
    "--every",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    metavar="K",
    help="Frames in a segment.",
)
@click.option(
    "--seconds",
    type=_positive,
    default=30.0,
    show_default=True,
    metavar="T",
    help="From a segment's first frame until it is closed, if K have not come.",
)
@click.option(
    "--window",
    type=click.IntRange(1, 4096),
    default=32,
    show_default=True,
    metavar="W",
    help="Frames between intake and decision. Beyond it files wait, and a camera's frames are dropped.",
)
@click.option("--frame-rate", type=_positive, metavar="F", help="Of a video's own second, or of a camera.")
@click.option("--crop", callback=_parse_crop, metavar="X,Y,W,H", help="Of every picture; else all of it.")
@click.option("--max-frames", type=click.IntRange(1), metavar="N", help="End after so many.")
@click.option("--idle-seconds", type=_positive, metavar="S", help="End when nothing came for so long.")
@click.option(
    "--time-limit", type=_positive, metavar="SECONDS", help="For one worker and frame; then another tries."
)
@click.option("--deadline", type=_positive, metavar="SECONDS", help="From intake; a later frame is flagged.")
@workers_option
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object a line on stdout; the last is a summary."
)
def stream_command(
    source: str,
    out: Path,
    every: int,
    seconds: float,
    window: int,
    frame_rate: float | None,
    crop: Crop | None,
    max_frames: int | None,
    idle_seconds: float | None,
    time_limit: float | None,
    deadline: float | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Decide and prove frames as they come. All roles run on this machine.

    SOURCE is a folder that is being filled with PNG and JPEG files, a video file, or a camera's number.
    DIR/segments/NNNNNN are campaigns that `pvcnn verify` checks; DIR/review.jsonl lists every frame
    without a valid proof. Ctrl-C stops the intake and finishes what is in flight; a second one flags it.

    Exit status 0 if there were frames, all were proved and all segments verify, else 1.
    """
    from pvcnn.stream.base import shipped_model
    from pvcnn.stream.options import Control, StreamOptions
    from pvcnn.stream.run import run_stream
    from pvcnn.stream.sources import open_source

    options = StreamOptions(
        every=every,
        seconds=seconds,
        window=window,
        max_frames=max_frames,
        idle_seconds=idle_seconds,
        workers=workers,
        crop=crop,
        time_limit=time_limit,
        deadline=deadline,
    )
    opened = open_source(source, frame_rate)
    use_one_torch_thread()
    control = Control()
    with StepProgress(_TITLES) as progress, _interrupts(control):
        summary = run_stream(opened, out, shipped_model, options, _Teller(progress, as_json), control)
    return 0 if summary.complete else 1


@contextmanager
def _interrupts(control: Control) -> Iterator[None]:
    """Ctrl-C, and what ends services, stop the intake; a second time they cut the rest short."""
    taken = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in taken}
    for number in taken:
        signal.signal(number, lambda *_: control.stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Prints what happens: progress of the preparation, then a line a frame, or JSON lines."""

    def __init__(self, progress: StepProgress, as_json: bool) -> None:
        self._progress = progress
        self._as_json = as_json

    def __call__(self, event: StreamEvent) -> None:
        from pvcnn.stream import events

        if isinstance(event, events.StepEvent):
            if event.seconds is None:
                self._progress.begin(event.step, 1)
            else:
                self._progress.finish(event.step, event.seconds)
        elif self._as_json:
            print_json(events.to_json(event))
        elif isinstance(event, events.FrameEvent):
            _print_frame(event)
        elif isinstance(event, events.SegmentEvent):
            _print_segment(event)
        elif isinstance(event, events.NoteEvent):
            notes.print(plain(event.note), soft_wrap=True)
        else:
            _print_summary(event)


def _print_frame(event: FrameEvent) -> None:
    what = f"[bold yellow]for manual review[/]: {plain(event.reason)}"
    if event.proved:
        what = f"{'fake' if event.decision else 'real'}, proved, {event.segment} index {event.index}"
    results.print(f"#{event.number} {plain(event.name)}: {what} ({duration(event.latency)})", soft_wrap=True)


def _print_segment(event: SegmentEvent) -> None:
    verdict = "verified" if event.verified else f"[bold red]not verified[/]: {plain(event.reason)}"
    results.print(
        f"{event.segment}: {event.proved} of {event.frames} frames proved, {verdict}", soft_wrap=True
    )


def _print_summary(event: Summary) -> None:
    results.print(
        f"{event.frames} frames, {event.proved} proved, {event.flagged} for manual review; "
        f"{event.segments_verified} of {event.segments} segments verified; {event.throughput:.2f} frames/s"
    )
    if event.latency_median is not None and event.latency_95 is not None:
        results.print(
            f"from intake to decision: median {duration(event.latency_median)}, "
            f"95th percentile {duration(event.latency_95)}"
        )
    for reason, count in event.reasons.items():
        results.print(f"for manual review, {count}: {plain(reason)}", soft_wrap=True)
    results.print(f"Check it yourself: pvcnn verify {plain(event.directory)}/segments/000000", soft_wrap=True)
