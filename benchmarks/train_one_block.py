"""Trains the detector with one private block: python benchmarks/train_one_block.py --out weights.safetensors.

Training people teach it, validation people choose the threshold, test people are not looked at
(benchmarks/accuracy.py does that, once). Faces X-ray (arXiv 1912.13458) and self-blended images
(arXiv 2204.08376) inspired the recipe, which docs/data-and-model.md describes.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Generator, Tensor, nn
from torch.nn import functional

from pvcnn.data.evaluation import area_under_curve, equal_error_threshold, evaluation_frames
from pvcnn.data.faces import load_faces
from pvcnn.data.fakes import Batch, FrameMaker, Kind
from pvcnn.data.frames import prepare
from pvcnn.data.splits import SPLIT_SEED, split_people
from pvcnn.models.deepfake import CHANNELS, DeepfakeDetector, OneBlockDetector
from pvcnn.models.store import ONE_BLOCK_WEIGHTS, save_one_block_detector

#: Batches from which batch norm takes its statistics once training is over.
RECALIBRATION = 40


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on, apart from the versions of torch and of the processor."""

    seed: int = 0
    split_seed: int = SPLIT_SEED
    steps: int = 5000
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    averaging: float = 0.998
    location_weight: float = 0.5
    dropout: float = 0.5


class Trainee(nn.Module):
    """The detector and a 1x1 head that says where the blend is; only the detector is kept.

    Being asked for the mask and for its rim makes the first blocks look at the blend itself.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.detector = OneBlockDetector(dropout)
        self.location = nn.Conv2d(CHANNELS[2], 2, 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        detector = self.detector
        third = detector.block2(detector.block1(frames))
        for layer in (detector.block3.convolution, detector.block3.normalisation, detector.block3.activation):
            third = layer(third)
        features = detector.block4(detector.block3.pooling(third))
        logits = detector.decision(detector.dropout(detector.flatten(features)))
        return logits[:, 0], self.location(third)


def start_high_pass(detector: OneBlockDetector, generator: Generator) -> None:
    """Second differences, which see a blend rather than a face, plus noise that sets them apart."""
    kernels = torch.tensor(
        [
            [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
            [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
            [[1, -2, 1], [-2, 4, -2], [1, -2, 1]],
            [[0, 0, 0], [1, -2, 1], [0, 0, 0]],
            [[0, 1, 0], [0, -2, 0], [0, 1, 0]],
            [[1, 0, 0], [0, -2, 0], [0, 0, 1]],
            [[0, 0, 1], [0, -2, 0], [1, 0, 0]],
            [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
        ],
        dtype=torch.float32,
    )
    kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None]
    kernels = kernels + 0.1 * torch.randn(kernels.shape, generator=generator)
    with torch.no_grad():
        detector.block1.convolution.weight.copy_(kernels[:, None])
    keep_zero_mean(detector)
    # Without a shift, what is squared is free of a bias: features give away less (docs/threat-model.md).
    detector.block1.normalisation.bias.requires_grad_(False)


def keep_zero_mean(detector: OneBlockDetector) -> None:
    """Every filter of the first block sees differences only, never brightness itself."""
    weight = detector.block1.convolution.weight
    with torch.no_grad():
        weight.sub_(weight.mean((2, 3), keepdim=True))


def as_input(batch: Batch) -> Tensor:
    return torch.from_numpy(prepare(batch.frames.numpy())).float()


def loss_of(trainee: Trainee, batch: Batch, recipe: Recipe) -> Tensor:
    logits, located = trainee(as_input(batch))
    labels = batch.labels.float()
    smoothed = labels * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    cells = batch.masks.shape[-1] // located.shape[-1]
    rims = 4 * batch.masks * (1 - batch.masks)
    wanted = functional.avg_pool2d(torch.stack((batch.masks, rims), 1), cells)
    location = functional.binary_cross_entropy_with_logits(located, wanted)
    decision = functional.binary_cross_entropy_with_logits(logits, smoothed)
    return decision + recipe.location_weight * location


def train(recipe: Recipe, minutes: float) -> tuple[OneBlockDetector, int]:
    """The averaged detector, and the steps taken: fewer than asked if the time ran out."""
    torch.manual_seed(recipe.seed)
    generator = Generator().manual_seed(recipe.seed)
    maker = FrameMaker(load_faces(), split_people(recipe.split_seed).train)
    trainee = Trainee(recipe.dropout)
    start_high_pass(trainee.detector, generator)
    averaged = copy.deepcopy(trainee.detector)
    parameters = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
    deadline = time.monotonic() + 60 * minutes
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("training", total=recipe.steps, loss="")
        for step in range(recipe.steps):
            if time.monotonic() > deadline:
                return recalibrate(averaged, maker, generator, min(RECALIBRATION, recipe.steps)), step
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
            half = recipe.batch // 2
            batch = maker.draw(half, half, generator, hard=step % 2 == 1)
            loss = loss_of(trainee, batch, recipe)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            keep_zero_mean(trainee.detector)
            average(averaged, trainee.detector, min(recipe.averaging, (step + 1) / (step + 10)))
            progress.update(bar, advance=1, loss=f"loss {loss.item():.3f}")
    return recalibrate(averaged, maker, generator, min(RECALIBRATION, recipe.steps)), recipe.steps


def schedule(step: int, steps: int) -> float:
    """A short warm-up, then half a cosine down to zero."""
    return min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))


def average(averaged: nn.Module, current: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for mean, value in zip(averaged.parameters(), current.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)


def recalibrate(
    detector: OneBlockDetector, maker: FrameMaker, generator: Generator, batches: int
) -> OneBlockDetector:
    """Batch-norm statistics of the averaged weights; the first block's mean is 0 by construction."""
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    for first_is_known in (False, True):
        detector.train()
        if first_is_known:
            assert norms[0].running_mean is not None
            norms[0].running_mean.zero_()
            norms[0].eval()
            for norm in norms[1:]:
                norm.reset_running_stats()
        with torch.no_grad():
            for step in range(batches):
                detector(as_input(maker.draw(64, 64, generator, hard=step % 2 == 1)))
    return detector.eval()


def logits_of(detector: nn.Module, frames: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.no_grad():
        parts = [detector(part)[:, 0] for part in torch.split(torch.from_numpy(frames).float(), 256)]
    return torch.cat(parts).double().numpy()


def validate(detector: OneBlockDetector | DeepfakeDetector, split_seed: int) -> dict[str, float]:
    """Areas under the curve for the validation people; folds their threshold into the final bias."""
    evaluation = evaluation_frames(split_people(split_seed).validation, seed=1)
    scores, labels = logits_of(detector, evaluation.prepared), evaluation.labels
    threshold = equal_error_threshold(scores, labels)
    with torch.no_grad():
        detector.decision.bias.sub_(threshold)
    measured = {"threshold": threshold, "accuracy": float(((scores > threshold) == labels).mean())}
    for kind in (Kind.SWAP, Kind.SELF_BLEND):
        for degraded in (False, True):
            chosen = evaluation.select(kind, degraded)
            name = f"auc {kind.name.lower()}{' degraded' if degraded else ''}"
            measured[name] = area_under_curve(scores[chosen], labels[chosen])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ONE_BLOCK_WEIGHTS, help="default: the weights that ship")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many (default 60)")
    arguments = parser.parse_args()
    # Small convolutions: a second thread costs more than it brings.
    torch.set_num_threads(1)
    recipe = Recipe(seed=arguments.seed, steps=arguments.steps)
    started = time.process_time()
    detector, steps = train(recipe, arguments.minutes)
    validation = validate(detector, recipe.split_seed)
    noted = {**asdict(recipe), "steps_taken": steps, "torch": torch.__version__, "validation": validation}
    save_one_block_detector(detector, arguments.out, noted)
    print(json.dumps({**noted, "cpu_seconds": round(time.process_time() - started)}, indent=1))


if __name__ == "__main__":
    main()
