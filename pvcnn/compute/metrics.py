"""Numbers for a monitoring system, which Ray exports for Prometheus on each machine's metrics port.

docs/tutorials/operator.md lists them. Ray puts `ray_` before each name, and the sum of a histogram is one
that Ray estimates from its buckets: `pvcnn_step_seconds_spent` has the seconds themselves.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge, Histogram

from pvcnn.compute.events import FINAL, Event, Kind

#: Upper ends of the histogram's buckets, in seconds.
SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]

_LABELS = ("work", "campaign")
_FAULTS = frozenset({Kind.LOST, Kind.OVERDUE, Kind.FALSE, Kind.UNABLE, Kind.UNFIT})


class Metrics:
    """A `pvcnn.compute.events.Listener` for one piece of work on the open Ray session.

    work: "prove" or "infer". campaign: its 32 bytes, of which the label shows the first eight.
    total: how many submissions will be settled, each of `frames` frames.
    """

    def __init__(self, work: str, campaign: bytes, total: int, frames: int = 1) -> None:
        self._left = total
        self._frames = frames
        self._running: set[int] = set()
        labels = {"work": work, "campaign": campaign[:8].hex()}
        self._queue = Gauge("pvcnn_queue_length", "Submissions that no worker has yet.", _LABELS)
        self._busy = Gauge("pvcnn_submissions_running", "Submissions that are at a worker.", _LABELS)
        self._settled = Counter(
            "pvcnn_submissions_settled", "Submissions done, and failed for good.", (*_LABELS, "result")
        )
        self._settled_frames = Counter(
            "pvcnn_frames_settled", "Frames of those submissions.", (*_LABELS, "result")
        )
        self._faults = Counter(
            "pvcnn_worker_faults",
            "Workers lost, overdue, false, unable to do a submission, or unfit for the campaign.",
            (*_LABELS, "kind"),
        )
        self._seconds = Histogram(
            "pvcnn_step_seconds", "Seconds of a step of one submission.", SECONDS, (*_LABELS, "step")
        )
        self._spent = Counter(
            "pvcnn_step_seconds_spent", "Seconds of a step, of all submissions.", (*_LABELS, "step")
        )
        counters = (self._settled, self._settled_frames, self._faults, self._spent)
        for metric in (self._queue, self._busy, self._seconds, *counters):
            metric.set_default_tags(labels)
        self._show()

    def __call__(self, event: Event) -> None:
        if event.kind is Kind.STARTED:
            self._running.add(event.index)
        elif event.kind in _FAULTS:
            self._running.discard(event.index)
            self._faults.inc(1, {"kind": str(event.kind)})
        elif event.kind in FINAL:
            self._running.discard(event.index)
            self._left -= 1
            self._settled.inc(1, {"result": str(event.kind)})
            self._settled_frames.inc(self._frames, {"result": str(event.kind)})
            for step, seconds in event.seconds.items():
                self._seconds.observe(seconds, {"step": step})
                self._spent.inc(seconds, {"step": step})
        self._show()

    def _show(self) -> None:
        self._queue.set(self._left - len(self._running))
        self._busy.set(len(self._running))
