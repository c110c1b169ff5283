"""Trains the LeNet-5 that pvcnn ships: python benchmarks/train_lenet.py --out weights.safetensors.

On the digits that ship with scikit-learn: `pvcnn.data.digits` says which are for training and which for
testing. Nothing is chosen by looking at the latter: the recipe is fixed and the last weights are kept.
docs/data-and-model.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.progress import track
from torch import Generator, Tensor, nn
from torch.nn import functional

from pvcnn.data.digits import Digits, load_digits
from pvcnn.models.lenet import LeNet5
from pvcnn.models.store import LENET_FORMAT, LENET_WEIGHTS, save_weights


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on, apart from the versions of torch and of the processor."""

    seed: int = 0
    epochs: int = 40
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    largest_shift: float = 3.0
    largest_turn: float = 0.2
    largest_zoom: float = 0.15


def moved(frames: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """Every frame turned (radians), zoomed and shifted (pixels) a little, at random."""
    count = len(frames)
    turn, zoom, right, down = 2 * torch.rand(4, count, generator=generator) - 1
    turn, scale = recipe.largest_turn * turn, 1 + recipe.largest_zoom * zoom
    shift = 2 * recipe.largest_shift / frames.shape[-1]
    rows = torch.stack(
        (
            torch.stack((scale * turn.cos(), -scale * turn.sin(), shift * right), 1),
            torch.stack((scale * turn.sin(), scale * turn.cos(), shift * down), 1),
        ),
        1,
    )
    grid = functional.affine_grid(rows, list(frames.shape), align_corners=False)
    return functional.grid_sample(frames, grid, align_corners=False)


def train(digits: Digits, recipe: Recipe) -> LeNet5:
    torch.manual_seed(recipe.seed)
    generator = Generator().manual_seed(recipe.seed)
    frames, labels = torch.from_numpy(digits.frames).float(), torch.from_numpy(digits.labels)
    model = LeNet5().train()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=recipe.weight_decay)
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for epoch in track(range(recipe.epochs), "training"):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / recipe.epochs))
        for chosen in torch.split(torch.randperm(len(frames), generator=generator), recipe.batch):
            loss = loss_of(model(moved(frames[chosen], recipe, generator)), labels[chosen])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    return model.eval()


def correct(model: LeNet5, digits: Digits) -> int:
    """How many digits are recognised."""
    with torch.no_grad():
        decided = model(torch.from_numpy(digits.frames).float()).argmax(1)
    return int((decided.numpy() == digits.labels).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=LENET_WEIGHTS, help="default: the weights that ship")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    # Small convolutions: a second thread costs more than it brings.
    torch.set_num_threads(1)
    recipe = Recipe(seed=arguments.seed, epochs=arguments.epochs)
    started = time.process_time()
    training, testing = load_digits()
    model = train(training, recipe)
    noted = {**asdict(recipe), "torch": torch.__version__}
    save_weights(model, arguments.out, LENET_FORMAT, noted)
    figures = {
        "training digits": len(training.labels),
        "training digits recognised": correct(model, training),
        "test digits": len(testing.labels),
        "test digits recognised": correct(model, testing),
        "cpu_seconds": round(time.process_time() - started),
    }
    print(json.dumps({**noted, **figures}, indent=1))


if __name__ == "__main__":
    main()
