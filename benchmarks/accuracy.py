"""How well a shipped detector does: python benchmarks/accuracy.py [--write docs/data-and-model.md].

`--network one-block` measures the detector with one private block instead of the demo's.

On people it was not trained on: as floating-point numbers, quantised (the integers that are proved)
and, with --encrypted, on ciphertexts; campaigns given by --campaign are verified and added. Other
people fixed the threshold when the weights were saved. Intervals are 95 % bootstrap intervals over people.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import nn

from pvcnn.bench.documents import markdown_table, replace_measured
from pvcnn.campaign.verification.auditor import verify
from pvcnn.data.evaluation import (
    Evaluation,
    area_under_curve,
    evaluation_frames,
    interval_over_people,
)
from pvcnn.data.fakes import Kind
from pvcnn.data.frames import PIXEL_BOUND, calibration_frames
from pvcnn.data.splits import split_people
from pvcnn.errors import RangeError, SubmissionRefused
from pvcnn.he.decryption import decrypt_features, quantise
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import generate
from pvcnn.he.parameters import plan
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.store import load_detector, load_one_block_detector
from pvcnn.partition.split import Split, split
from pvcnn.program.inference import trace
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.public_part import PublicPart

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: As the demo does, so that the integers measured here are those that it proves.
CALIBRATION_FRAMES = 256
ROWS = (
    ("swaps", Kind.SWAP, False),
    ("self-blends", Kind.SELF_BLEND, False),
    ("swaps, degraded frames", Kind.SWAP, True),
    ("self-blends, degraded frames", Kind.SELF_BLEND, True),
    ("all", None, None),
)
#: By the networks' names: how weights are loaded, and the cut behind all that is made to be private.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "default": (load_detector, PRIVATE_BLOCKS),
    "one-block": (load_one_block_detector, 1),
}


@dataclass(frozen=True)
class Scores:
    """Per frame: a score (higher: more likely fake), a decision, and whether the frame was refused."""

    logits: Floats
    decisions: Integers
    refused: NDArray[np.bool_]

    def select(self, chosen: NDArray[np.int64]) -> Scores:
        return Scores(self.logits[chosen], self.decisions[chosen], self.refused[chosen])


def float_scores(detector: nn.Module, frames: Floats) -> Scores:
    with torch.no_grad():
        parts = [detector(part)[:, 0] for part in torch.split(torch.from_numpy(frames).float(), 256)]
    logits = torch.cat(parts).double().numpy()
    return Scores(logits, (logits > 0).astype(np.int64), np.zeros(len(logits), bool))


def integer_scores(public: PublicPart, features: Iterable[Integers | None]) -> Scores:
    """The integers that are proved, frame by frame; None is a frame that the cluster refused."""
    logits, decisions, refused = [], [], []
    for given in features:
        try:
            values = None if given is None else trace(public.program, public.weights, given[None])
        except RangeError:
            values = None
        refused.append(values is None)
        logits.append(0.0 if values is None else float(values.layers[-2].output[0, 0]))
        decisions.append(0 if values is None else int(values.decisions[0]))
    return Scores(np.array(logits), np.array(decisions, np.int64), np.array(refused))


def plain_features(private: PrivatePart, frames: Floats) -> Iterator[Integers]:
    """What the private part makes of frames that nobody encrypted."""
    for frame in frames:
        values = private_evaluate(private, frame[None])[0]
        yield np.rint(values / private.feature_step).astype(np.int64)


def encrypted_features(part: Split, frames: Floats) -> Iterator[Integers | None]:
    """The same through encryption, evaluation on ciphertexts and decryption."""
    program = part.public.program
    encryption_plan = plan(part.private, max(-program.input_low, program.input_high))
    secret_key, public_key, evaluation_keys = generate(encryption_plan)
    evaluator = Evaluator(encryption_plan, public_key, evaluation_keys, part.private)
    for frame in track(frames, "encrypted", console=Console(stderr=True)):
        answer = evaluator.evaluate(
            encrypt_frame(encryption_plan, public_key, frame), secrets.token_bytes(32)
        )
        features = decrypt_features(encryption_plan, secret_key, answer)
        try:
            yield quantise(features, part.private.feature_step, program.input_low, program.input_high)
        except SubmissionRefused:
            yield None


def measured(evaluation: Evaluation, scores: Scores) -> list[dict[str, Any]]:
    """Per row: area under the curve and accuracy, each with its interval. Refused frames are left out."""
    results = []
    for name, kind, degraded in ROWS:
        chosen = evaluation.select(kind, degraded) & ~scores.refused
        labels, people = evaluation.labels[chosen], evaluation.people[chosen]
        logits, decisions = scores.logits[chosen], scores.decisions[chosen].astype(np.float64)
        results.append(
            {
                "frames": name,
                "count": int(chosen.sum()),
                "auc": area_under_curve(logits, labels),
                "auc_interval": interval_over_people(area_under_curve, logits, labels, people),
                "accuracy": balanced_accuracy(decisions, labels),
                "accuracy_interval": interval_over_people(balanced_accuracy, decisions, labels, people),
            }
        )
    return results


def balanced_accuracy(decisions: Floats, labels: Integers) -> float:
    """The mean of the shares of reals and of fakes that are recognised: reals are not counted twice."""
    return float((decisions[labels == 1].mean() + 1 - decisions[labels == 0].mean()) / 2)


def markdown(report: dict[str, Any]) -> str:
    columns = list(report["measured"])
    measures = [(measure, column) for measure in ("auc", "accuracy") for column in columns]
    names = {"auc": "AUC", "accuracy": "accuracy"}
    head = ["frames", "number", *(f"{names[measure]}, {column}" for measure, column in measures)]
    rows = []
    for index, first in enumerate(report["measured"][columns[0]]):
        cells = [first["frames"], str(first["count"])]
        for measure, column in measures:
            result = report["measured"][column][index]
            low, high = result[f"{measure}_interval"]
            cells.append(f"{result[measure]:.3f} [{low:.2f}, {high:.2f}]")
        rows.append(cells)
    lines = [markdown_table(head, rows, left=len(head))]
    lines += ["", *(f"- {sentence}" for sentence in report["sentences"])]
    lines += ["", f"Measured on {report['date']}; {report['machine']}."]
    return "\n".join(lines)


def comparison(name: str, scores: Scores, other_name: str, other: Scores) -> str:
    kept = ~(scores.refused | other.refused)
    equal = np.count_nonzero((scores.decisions == other.decisions)[kept])
    return (
        f"{name}: {equal} of {len(kept)} decisions are those of the {other_name} model,"
        f" {np.count_nonzero(scores.refused)} frames were refused because a value left its range."
    )


def campaign_sentence(directory: Path) -> str:
    """A campaign's proofs are verified, then its decisions compared with the labels that testers opened."""
    verdict = verify(directory)
    correct, opened = verdict.accuracy()
    state = "verified" if verdict.verified else "not verified"
    return (
        f"Encrypted and proved ({state}): a campaign of {verdict.registered} frames, {verdict.proved} proved;"
        f" {correct} of {opened} decisions are what testers say of their frames."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=tuple(NETWORKS), default="default")
    parser.add_argument("--people", choices=("validation", "test"), default="test")
    parser.add_argument("--encrypted", type=int, default=0, help="frames to evaluate encrypted, too")
    parser.add_argument("--campaign", type=Path, action="append", default=[], help="a finished campaign")
    parser.add_argument("--write", type=Path, help="replace the table in this Markdown file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    evaluation = evaluation_frames(getattr(split_people(), arguments.people), seed=1)
    load, cut = NETWORKS[arguments.network]
    detector = load()
    part = split(detector, calibration_frames(CALIBRATION_FRAMES), cut, pixel_bound=PIXEL_BOUND)
    prepared = evaluation.prepared
    plain = float_scores(detector, prepared)
    quantised = integer_scores(part.public, plain_features(part.private, prepared))
    report: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "network": arguments.network,
        "people": arguments.people,
        "measured": {"float": measured(evaluation, plain), "quantised": measured(evaluation, quantised)},
        "sentences": [comparison("Quantised", quantised, "float", plain)],
    }
    if arguments.encrypted:
        order = np.random.default_rng(0).permutation(len(prepared))[: arguments.encrypted]
        encrypted = integer_scores(part.public, encrypted_features(part, prepared[order]))
        report["sentences"].append(comparison("Encrypted", encrypted, "quantised", quantised.select(order)))
        if len(order) == len(prepared):
            restored = encrypted.select(np.argsort(order))
            report["measured"]["encrypted"] = measured(evaluation, restored)
    report["sentences"] += [campaign_sentence(directory) for directory in arguments.campaign]
    if arguments.write:
        script = f"benchmarks/accuracy.py --network {arguments.network}"
        replace_measured(arguments.write, script, markdown(report))
    print(markdown(report), file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
