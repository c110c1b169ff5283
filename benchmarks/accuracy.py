"""How well the shipped detector does: python benchmarks/accuracy.py [--write docs/data-and-model.md].

On people it was not trained on: as floating-point numbers, quantised (the integers that are proved)
and, for campaigns given by --campaign, encrypted and proved. The threshold was fixed by other people
when the weights were saved. Intervals are 95 % bootstrap intervals over people.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pvcnn.data.evaluation import (
    Evaluation,
    area_under_curve,
    evaluation_frames,
    interval_over_people,
)
from pvcnn.data.fakes import Kind
from pvcnn.data.frames import PIXEL_BOUND, calibration_frames
from pvcnn.data.splits import split_people
from pvcnn.errors import RangeError
from pvcnn.models.deepfake import DeepfakeDetector
from pvcnn.models.store import load_detector
from pvcnn.partition.split import split
from pvcnn.program.inference import trace
from pvcnn.program.private import PrivatePart, private_evaluate
from pvcnn.program.public_part import PublicPart

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CALIBRATION_FRAMES = 400
ROWS = (
    ("swaps", Kind.SWAP, False),
    ("self-blends", Kind.SELF_BLEND, False),
    ("swaps, degraded frames", Kind.SWAP, True),
    ("self-blends, degraded frames", Kind.SELF_BLEND, True),
    ("all", None, None),
)
BEGIN, END = "<!-- benchmarks/accuracy.py writes from here -->", "<!-- to here -->"


@dataclass(frozen=True)
class Scores:
    """Per frame: a score (higher: more likely fake), a decision, and whether the frame was refused."""

    logits: Floats
    decisions: Integers
    refused: NDArray[np.bool_]


def float_scores(detector: DeepfakeDetector, frames: Floats) -> Scores:
    with torch.no_grad():
        parts = [detector(part)[:, 0] for part in torch.split(torch.from_numpy(frames).float(), 256)]
    logits = torch.cat(parts).double().numpy()
    return Scores(logits, (logits > 0).astype(np.int64), np.zeros(len(logits), bool))


def quantised_scores(private: PrivatePart, public: PublicPart, frames: Floats) -> Scores:
    """The integers that are proved, from plain frames; a value out of its range refuses its frame."""
    logits = np.zeros(len(frames))
    decisions = np.zeros(len(frames), np.int64)
    refused = np.zeros(len(frames), bool)
    for index, frame in enumerate(frames):
        features = np.rint(private_evaluate(private, frame[None]) / private.feature_step)
        try:
            traced = trace(public.program, public.weights, features.astype(np.int64))
        except RangeError:
            refused[index] = True
            continue
        logits[index] = traced.layers[-2].output[0, 0]
        decisions[index] = traced.decisions[0]
    return Scores(logits, decisions, refused)


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
    head = "| frames | number | AUC, float | AUC, quantised | accuracy, float | accuracy, quantised |"
    lines = [head, "| --- | --- | --- | --- | --- | --- |"]
    for plain, quantised in zip(report["float"], report["quantised"], strict=True):
        cells = [plain["frames"], str(plain["count"])]
        for measure in ("auc", "accuracy"):
            for side in (plain, quantised):
                low, high = side[f"{measure}_interval"]
                cells.append(f"{side[measure]:.3f} [{low:.2f}, {high:.2f}]")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", report["summary"], "", f"Measured on {report['date']}; {report['machine']}."]
    return "\n".join(lines)


def comparison(plain: Scores, quantised: Scores) -> str:
    kept = ~quantised.refused
    equal = (plain.decisions == quantised.decisions)[kept].mean()
    return (
        f"Quantisation keeps {equal:.1%} of the decisions; {np.count_nonzero(quantised.refused)} of"
        f" {len(kept)} frames were refused because a value left its range."
    )


def replace_table(path: Path, table: str) -> None:
    """Raises ValueError if the file lacks the two marks."""
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{path} lacks the marks {BEGIN!r} and {END!r}")
    before, rest = text.split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", choices=("validation", "test"), default="test")
    parser.add_argument("--write", type=Path, help="replace the table in this Markdown file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    evaluation = evaluation_frames(getattr(split_people(), arguments.people), seed=1)
    detector = load_detector()
    part = split(detector, calibration_frames(CALIBRATION_FRAMES), pixel_bound=PIXEL_BOUND)
    plain = float_scores(detector, evaluation.prepared)
    quantised = quantised_scores(part.private, part.public, evaluation.prepared)
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "people": arguments.people,
        "float": measured(evaluation, plain),
        "quantised": measured(evaluation, quantised),
        "summary": comparison(plain, quantised),
    }
    if arguments.write:
        replace_table(arguments.write, markdown(report))
    print(markdown(report), file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
