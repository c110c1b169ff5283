"""From a torch module to a proof: what the integers say is what is proved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pvcnn
from tests.partition.architectures import Excited, InvertedResidual, Residual
from tests.partition.networks import smooth_frames

FRAMES = smooth_frames(16, 2, 6)

MODELS = {
    "residual": lambda: nn.Sequential(
        Residual(2, 2, 2, nn.ReLU()), Residual(2, 2, 1, nn.LeakyReLU(0.1)), nn.Flatten(), nn.Linear(18, 3)
    ),
    "gates": lambda: nn.Sequential(
        InvertedResidual(2, 2, nn.ReLU6), nn.MaxPool2d(2), Excited(2, nn.ReLU), nn.Flatten(), nn.Linear(18, 1)
    ),
}


@pytest.mark.parametrize("weights", ["committed", "published"])
@pytest.mark.parametrize("name", MODELS)
def test_decisions_are_proved(name: str, weights: str) -> None:
    torch.manual_seed(0)
    part = pvcnn.split(MODELS[name]().eval(), FRAMES, cut=0, weights=weights)
    features = part.features(FRAMES[:1])
    key, verification_key = pvcnn.setup(part.public)
    proof = pvcnn.prove(key, part.public, features)
    pvcnn.verify(verification_key, proof.statement, proof)
    assert np.array_equal(np.asarray(proof.statement.outputs).reshape(-1), part.public(features))
