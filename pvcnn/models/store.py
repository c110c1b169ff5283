"""The shipped weights: one safetensors file inside the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from pvcnn.errors import DecodeError
from pvcnn.models.deepfake import DeepfakeDetector

WEIGHTS = Path(__file__).with_name("deepfake.safetensors")
FORMAT = "pvcnn-detector"
VERSION = "1"


def save_detector(model: DeepfakeDetector, path: Path, recipe: dict[str, Any]) -> None:
    """Writes the weights and, as metadata, how they came about (`recipe`, anything JSON holds)."""
    tensors = {
        name: tensor.detach().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {"format": FORMAT, "version": VERSION, "recipe": json.dumps(recipe, sort_keys=True)}
    safetensors.torch.save_file(tensors, path, metadata)


def load_detector(path: Path = WEIGHTS) -> DeepfakeDetector:
    """The trained detector in eval mode. Its threshold is part of its bias: fake means logit > 0.

    Raises DecodeError if the file is not a detector's weights.
    """
    recipe(path)
    model = DeepfakeDetector()
    expected = {
        name: tensor.shape
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    tensors = safetensors.torch.load_file(path)
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise DecodeError(f"{path.name}: the tensors are not those of the detector")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise DecodeError(f"{path.name}: a weight is not finite")
    model.load_state_dict(tensors, strict=False)
    return model.eval()


def recipe(path: Path = WEIGHTS) -> dict[str, Any]:
    """How the weights came about, as the training script noted it. Raises DecodeError."""
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
    except safetensors.SafetensorError as error:
        raise DecodeError(f"{path.name}: {error}") from error
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise DecodeError(f"{path.name}: not a detector's weights, version {VERSION}")
    try:
        noted: dict[str, Any] = json.loads(metadata["recipe"])
    except (KeyError, ValueError) as error:
        raise DecodeError(f"{path.name}: the recipe is missing or malformed") from error
    return noted
