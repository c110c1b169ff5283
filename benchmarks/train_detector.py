"""Trains the detector that pvcnn ships: python benchmarks/train_detector.py --out weights.safetensors.

It starts from the detector with one private block (benchmarks/train_one_block.py): the first block is
that detector's and stays, and its logits teach the new one, beside the labels (G. Hinton, O. Vinyals, J.
Dean, "Distilling the knowledge in a neural network", arXiv 1503.02531). Since the first block stays, frames
are drawn and taken through it once. Training people teach it, validation people choose the threshold,
test people are not looked at. docs/data-and-model.md describes the recipe.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Generator, Tensor, nn
from torch.nn import functional
from train_one_block import as_input, average, schedule, validate

from pvcnn.data.faces import load_faces
from pvcnn.data.fakes import FrameMaker
from pvcnn.data.splits import SPLIT_SEED, split_people
from pvcnn.models.deepfake import DEEP_CHANNELS, DeepfakeDetector, OneBlockDetector
from pvcnn.models.store import WEIGHTS, load_one_block_detector, save_detector

#: The side of the map that says where the blend is.
LOCATION_SIDE = 8


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on, apart from the teacher and versions of torch and processor."""

    seed: int = 0
    split_seed: int = SPLIT_SEED
    steps: int = 5000
    batch: int = 128
    #: Batches that are drawn, and drawn from again and again.
    drawn: int = 800
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    averaging: float = 0.998
    location_weight: float = 0.5
    dropout: float = 0.5
    #: Of the teacher's opinion, and how much softer both opinions are made to compare them.
    teaching_weight: float = 1.0
    temperature: float = 2.0
    #: Of the gradient's norm: squares of squares sometimes make it large.
    clipping: float = 1.0


class Lessons(NamedTuple):
    """Of every frame drawn: what the first block makes of it, and what is to be said about it.

    features (n, 8, 16, 16) float16; labels (n,); logits (n,) of the teacher; places (n, 2, 8, 8) float16,
    the blend's mask and its rim.
    """

    features: Tensor
    labels: Tensor
    logits: Tensor
    places: Tensor

    def select(self, chosen: Tensor) -> Lessons:
        """In single precision."""
        return Lessons(*(tensor[chosen].float() for tensor in self))


class Trainee(nn.Module):
    """The detector and a 1x1 head that says where the blend is; only the detector is kept.

    Being asked for the mask and for its rim makes the second block look at the blend itself.
    """

    def __init__(self, teacher: OneBlockDetector, dropout: float) -> None:
        super().__init__()
        self.detector = DeepfakeDetector(dropout)
        self.detector.block1.load_state_dict(teacher.block1.state_dict())
        self.detector.block1.requires_grad_(False)
        self.location = nn.Conv2d(DEEP_CHANNELS[1], 2, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of the first block: (n, 8, 16, 16)."""
        second = self.detector.block2
        squares = second.square(second.normalisation(second.convolution(features)))
        located = self.location(functional.avg_pool2d(squares, squares.shape[-1] // LOCATION_SIDE))
        return decide(self.detector, second.pooling(squares)), located


def decide(detector: DeepfakeDetector, second: Tensor) -> Tensor:
    """(n,) logits, from what the second block makes."""
    features = detector.block4(detector.block3(second))
    logits: Tensor = detector.decision(detector.dropout(detector.flatten(features)))[:, 0]
    return logits


def draw(teacher: OneBlockDetector, recipe: Recipe, generator: Generator) -> Lessons:
    """Half of each batch is real, and every second batch degraded."""
    maker = FrameMaker(load_faces(), split_people(recipe.split_seed).train)
    half = recipe.batch // 2
    parts = []
    with torch.no_grad():
        for number in track(range(recipe.drawn), "drawing frames"):
            batch = maker.draw(half, half, generator, hard=number % 2 == 1)
            features = teacher.block1(as_input(batch))
            last = teacher.block4(teacher.block3(teacher.block2(features)))
            masks = torch.stack((batch.masks, 4 * batch.masks * (1 - batch.masks)), 1)
            places = functional.avg_pool2d(masks, masks.shape[-1] // LOCATION_SIDE)
            logits = teacher.decision(teacher.flatten(last))[:, 0]
            parts.append(Lessons(features.half(), batch.labels, logits, places.half()))
    return Lessons(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def loss_of(trainee: Trainee, lesson: Lessons, recipe: Recipe) -> Tensor:
    logits, located = trainee(lesson.features)
    smoothed = lesson.labels * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    decision = functional.binary_cross_entropy_with_logits(logits, smoothed)
    location = functional.binary_cross_entropy_with_logits(located, lesson.places)
    opinion = torch.sigmoid(lesson.logits / recipe.temperature)
    taught = functional.binary_cross_entropy_with_logits(logits / recipe.temperature, opinion)
    return decision + recipe.location_weight * location + recipe.teaching_weight * recipe.temperature * taught


def train(teacher: OneBlockDetector, recipe: Recipe) -> DeepfakeDetector:
    """The averaged detector."""
    torch.manual_seed(recipe.seed)
    generator = Generator().manual_seed(recipe.seed)
    lessons = draw(teacher, recipe, generator)
    trainee = Trainee(teacher, recipe.dropout)
    averaged = copy.deepcopy(trainee.detector)
    parameters = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
    for step in track(range(recipe.steps), "training"):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe.steps)
        chosen = torch.randint(len(lessons.labels), (recipe.batch,), generator=generator)
        loss = loss_of(trainee, lessons.select(chosen), recipe)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, recipe.clipping)
        optimiser.step()
        average(averaged, trainee.detector, min(recipe.averaging, (step + 1) / (step + 10)))
    recalibrate(averaged, lessons)
    return averaged.eval()


def recalibrate(detector: DeepfakeDetector, lessons: Lessons, frames: int = 1 << 13) -> None:
    """Batch-norm statistics of the averaged weights behind the first block, from the first frames drawn."""
    detector.train()
    for block in (detector.block2, detector.block3, detector.block4):
        block.normalisation.reset_running_stats()
        block.normalisation.momentum = None  # a plain mean over all batches
    with torch.no_grad():
        for features in torch.split(lessons.features[:frames], 256):
            decide(detector, detector.block2(features.float()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="default: the weights that ship")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--drawn", type=int, default=Recipe.drawn, help="batches to draw")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    # Small convolutions: a second thread costs more than it brings.
    torch.set_num_threads(1)
    recipe = replace(Recipe(), seed=arguments.seed, steps=arguments.steps, drawn=arguments.drawn)
    started = time.process_time()
    detector = train(load_one_block_detector(), recipe)
    noted = {
        **asdict(recipe),
        "torch": torch.__version__,
        "validation": validate(detector, recipe.split_seed),
    }
    save_detector(detector, arguments.out, noted)
    print(json.dumps({**noted, "cpu_seconds": round(time.process_time() - started)}, indent=1))


if __name__ == "__main__":
    main()
