"""All roles of a campaign on one machine: real faces in, one verified aggregate out.

Nothing is cut short: every role works on the campaign folder through its own class and sees only
what that role may hold. The seed fixes frames and fakes; keys, blinding and proofs are fresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pvcnn.algebra.warmup import compile_kernels
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    CLUSTER_CARD,
    REGISTRY,
    STATEMENTS,
    VERIFICATION_KEY,
    WEIGHTS,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.revealed import Kind
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import Aggregation, aggregate_campaign
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.cluster_ledger import ROLE as CLUSTER
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import DEFAULT_MAX_PROOFS, run_setup
from pvcnn.campaign.roles.tester import TesterRole
from pvcnn.campaign.verification import auditor
from pvcnn.campaign.verification.report import Verdict
from pvcnn.compute.events import FINAL, Event, describe
from pvcnn.compute.events import Outcome as ProvingOutcome
from pvcnn.compute.proving import Placement, prove_all
from pvcnn.compute.proving_worker import SecretsInDirectory
from pvcnn.compute.session import local_session
from pvcnn.data.frames import (
    CALIBRATION_FRAMES,
    PIXEL_BOUND,
    LabelledFrame,
    calibration_frames,
    demo_frames,
    prepare,
)
from pvcnn.leak.shipped import shipped_figures
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.store import load_detector
from pvcnn.partition.split import split
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.proof import PROOF_BYTES


class Listener(Protocol):
    """Is told what happens while it happens."""

    def begin(self, step: str, total: int) -> None:
        """A step of `total` parts begins."""

    def advance(self, step: str, detail: str = "", parts: int = 1) -> None:
        """So many parts of it are done; an empty detail leaves what is shown."""

    def note(self, step: str, detail: str) -> None:
        """Something to show beside the step."""

    def say(self, sentence: str) -> None:
        """Something that is to stay: what testers are told before they encrypt."""

    def finish(self, step: str, seconds: float) -> None:
        """It is done."""


@dataclass(frozen=True)
class Submitted:
    """Ground truth of one submission, which only the demo knows in one place.

    tester and first, the number of the submission's first frame among the tester's, count from 1.
    """

    tester: int
    first: int
    labels: tuple[int, ...]

    @property
    def name(self) -> str:
        """`tester 1, frame 2`, or `tester 1, frames 5-8`."""
        last = self.first + len(self.labels) - 1
        frames = f"frame {self.first}" if last == self.first else f"frames {self.first}-{last}"
        return f"tester {self.tester}, {frames}"


@dataclass
class DemoReport:
    """What the demo did. frames: in all, of which `batch` share a proof. seconds: wall time by step; sizes in
    bytes; truth by registry index."""

    directory: Path
    testers: int
    frames: int
    batch: int = 1
    constraints: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    truth: dict[int, Submitted] = field(default_factory=dict)
    outcomes: list[ProvingOutcome] = field(default_factory=list)
    aggregation: Aggregation | None = None
    cluster_fingerprint: str = ""
    verdict: Verdict | None = None

    @property
    def verified(self) -> bool:
        return self.verdict is not None and self.verdict.verified

    def to_json(self) -> dict[str, Any]:
        assert self.verdict is not None
        return {
            **self.verdict.to_json(),
            "verified": self.verified,
            "testers": self.testers,
            "frames": self.frames,
            "batch": self.batch,
            "constraints": self.constraints,
            "seconds": {step: round(value, 4) for step, value in self.seconds.items()},
            "bytes": self.sizes,
            "attempts": {outcome.index: outcome.attempts for outcome in self.outcomes},
            "truth": {index: list(submitted.labels) for index, submitted in self.truth.items()},
            "directory": str(self.directory),
        }


def run_demo(
    directory: Path,
    *,
    testers: int,
    frames: int,
    seed: int,
    listener: Listener,
    workers: int | None = None,
    batch: int = 1,
    reveal: str = "decisions",
    weights: str = "committed",
) -> DemoReport:
    """Plays a campaign of `testers` with `frames` frames each in `directory`, which must be new.

    `batch` of a tester's frames are one submission, with one proof. `reveal` and `weights` are what `split`
    takes, `workers` the number of proving processes, by default one a processor. Raises ValueError for more
    frames than the test people have or no multiple of `batch`, and whatever a role raises.
    """
    if frames % batch:
        raise ValueError(f"{frames} frames a tester cannot be dealt out to submissions of {batch}")
    dealt = demo_frames(testers, frames, seed)
    return _Demo(directory, dealt, batch, reveal, weights, listener, workers).run()


class _Demo:
    def __init__(
        self,
        directory: Path,
        dealt: list[list[LabelledFrame]],
        batch: int,
        reveal: str,
        weights: str,
        listener: Listener,
        workers: int | None,
    ) -> None:
        self._dealt = dealt
        self._batch = batch
        self._reveal = reveal
        self._weights = weights
        self._frames = sum(map(len, dealt))
        self._count = self._frames // batch
        self._listener = listener
        self._workers = workers
        self._folder = CampaignFolder.create(directory)
        self._report = DemoReport(directory, len(dealt), self._frames, batch)
        self._testers: list[TesterRole] = []
        self._uploads: dict[bytes, Submitted] = {}

    def run(self) -> DemoReport:
        figures = shipped_figures()
        with self._step("kernels"):
            compile_kernels()
        owner = OwnerRole.create(self._folder)
        self._split(owner)
        with self._step("keygen"):
            self._report.cluster_fingerprint = make_keys(self._folder).fingerprint
        with self._step("setup", 2) as advance:
            run_setup(self._folder, max(DEFAULT_MAX_PROOFS, self._count), self._batch)
            advance("keys made by the owner; signing the manifest")
            owner.publish_manifest(cluster_fingerprint=self._report.cluster_fingerprint, leak=figures)
        self._encrypt(owner.fingerprint)
        self._infer(owner)
        self._prove()
        with self._step("aggregate", 2) as advance:
            self._report.aggregation = aggregate_campaign(self._folder)
            if self._reveal != Kind.CORRECT:
                advance("testers open their labels")
                for tester in self._testers:
                    tester.open_labels()
        with self._step("verify"):
            self._report.verdict = auditor.verify(self._folder.root)
        self._measure()
        return self._report

    @contextmanager
    def _step(self, name: str, total: int = 1, each: int = 1) -> Iterator[Callable[[str], None]]:
        """Times a step of `total` parts, `each` of which are done at a time; the last when it ends."""
        self._listener.begin(name, total)
        start = time.perf_counter()
        yield lambda detail: self._listener.advance(name, detail, each)
        self._report.seconds[name] = time.perf_counter() - start
        self._listener.finish(name, self._report.seconds[name])

    def _split(self, owner: OwnerRole) -> None:
        with self._step("split", 2) as advance:
            parts = split(
                load_detector(),
                calibration_frames(CALIBRATION_FRAMES),
                PRIVATE_BLOCKS,
                weights=self._weights,
                reveal=self._reveal,
                pixel_bound=PIXEL_BOUND,
            )
            advance("planning the encryption")
            public = parts.public
            owner.publish_split(parts.private, public, parts.logit_scale)
        weights = public.weights if public.published else None
        circuit = compile_program(public.program, self._batch, published=weights)
        self._report.constraints = circuit.system.constraints

    def _encrypt(self, owner: str) -> None:
        with self._step("encrypt", self._frames) as advance:
            for number, given in enumerate(self._dealt):
                tester = TesterRole.create(self._folder, str(number + 1))
                self._testers.append(tester)
                if number == 0:  # all testers are told the same
                    for sentence in tester.cut_claims().sentences():
                        self._listener.say(sentence)
                for start in range(0, len(given), self._batch):
                    pixels, labels, _ = zip(*given[start : start + self._batch], strict=True)

                    def tell(done: int, number: int = number, start: int = start) -> None:
                        advance(f"tester {number + 1}, frame {start + done}: encrypted")

                    registration = tester.encrypt_batch(
                        list(map(prepare, pixels)), labels, self._report.cluster_fingerprint, owner, tell
                    )
                    self._uploads[registration.upload_digest] = Submitted(number + 1, start + 1, labels)

    def _infer(self, owner: OwnerRole) -> None:
        with self._step("infer", self._frames, self._batch) as advance:
            registry, _ = owner.close_registry({tester.public_key for tester in self._testers})
            for index, registration in enumerate(registry.registrations):
                self._report.truth[index] = self._uploads[registration.upload_digest]
                answer = owner.infer(index)
                what = f"refused: {answer.reason}" if answer.refused else "evaluated under encryption"
                advance(f"{self._report.truth[index].name}: {what}")

    def _prove(self) -> None:
        def show(event: Event) -> None:
            name = f"{self._report.truth[event.index].name}: " if event.index >= 0 else ""
            self._listener.note("prove", f"{name}{describe(event)}")
            if event.kind in FINAL:
                self._listener.advance("prove", parts=self._batch)

        ledger = ClusterLedger.open(self._folder.root)
        secrets = SecretsInDirectory(str(self._folder.private(CLUSTER)))
        placement = Placement.on_this_machine(self._count, self._workers)
        start = time.perf_counter()
        self._listener.begin("ray", 1)
        with local_session(placement.processors):
            self._report.seconds["ray"] = time.perf_counter() - start
            self._listener.finish("ray", self._report.seconds["ray"])
            with self._step("prove", self._frames):
                self._report.outcomes = prove_all(
                    ledger, self._folder.root.resolve(), secrets, range(self._count), placement, listener=show
                )

    def _measure(self) -> None:
        """Sizes of what was made; uploads and answers are those of the first submission."""
        folder, public = self._folder, self._folder.public
        submission = Proceedings.read(public).submission(public, 0)
        mail = {
            "upload": folder.mail("owner") / f"{submission.registration.upload_digest.hex()}.sealed",
            "download": folder.mail("cluster") / f"{submission.answer.answer_digest.hex()}.sealed",
            "weights": public.file(WEIGHTS),
        }
        self._report.sizes = {
            "proof": PROOF_BYTES,
            "proofs": self._report.aggregation.raw_bytes if self._report.aggregation else 0,
            "statement": max(
                public.indexed(STATEMENTS, index).stat().st_size for index in public.indices(STATEMENTS)
            ),
            "aggregate": public.file(AGGREGATE).stat().st_size,
            "vk": public.file(VERIFICATION_KEY).stat().st_size,
            "pk": folder.proving_key.stat().st_size,
            "cluster_card": public.file(CLUSTER_CARD).stat().st_size,
            "evaluation_keys": folder.evaluation_keys.stat().st_size,
            "registry": public.file(REGISTRY).stat().st_size,
            **{name: path.stat().st_size for name, path in mail.items() if path.exists()},
        }
