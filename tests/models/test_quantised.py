"""Every network of the catalogue as integers: without a private part, decisions as by floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pvcnn.models.catalogue import CATALOGUE, create, frames
from pvcnn.partition.split import split

#: Frames that calibrate, and others that are decided.
CALIBRATING, DECIDED = 8, 16
#: Heavy networks see the middle of their frames, (rows, columns): they take maps of any size.
CROPPED = {"resnet18": 16, "mobilenetv2": 16, "densenet": 16, "xception": 32}
#: Decisions may differ where the two largest logits (or the one and 0) are so close, in deviations.
CLOSE = 0.8
#: Decibels by which the logits exceed their error: what integers cost the networks without training.
LEAST_SIGNAL = 14


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def cropped(name: str, count: int, seed: int) -> Tensor:
    """Frames of the catalogue, smaller for heavy networks."""
    drawn = frames(name, count, seed)
    side = CROPPED.get(name, drawn.shape[-1])
    start = (drawn.shape[-1] - side) // 2
    return drawn[..., start : start + side, start : start + side]


def margins(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many deviations of the logits a frame is decided."""
    gaps: NDArray[np.float64] = np.abs(logits[:, 0])
    if logits.shape[1] > 1:
        ordered = np.sort(logits, axis=1)
        gaps = ordered[:, -1] - ordered[:, -2]
    deviations: NDArray[np.float64] = gaps / logits.std(0).mean()
    return deviations


def decided(model: nn.Module, batch: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    with torch.no_grad():
        logits = model(batch).double().numpy()
    classes = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0)
    return classes.astype(np.int64), margins(logits)


@pytest.mark.parametrize("name", CATALOGUE)
def test_integers_decide_as_floats_do(name: str) -> None:
    model = create(name, seed=0)
    part = split(model, cropped(name, CALIBRATING, seed=1), cut=0)
    batch = cropped(name, DECIDED, seed=2)
    decisions = part.public(part.features(batch)).reshape(-1)
    expected, sure = decided(model, batch)
    assert (decisions == expected)[sure > CLOSE].all()
    assert (decisions == expected).mean() >= 0.6
    assert len(np.unique(decisions)) >= 2
    signal = part.report.layers[-1].signal_to_noise
    assert signal is not None
    assert signal > LEAST_SIGNAL
