"""The shipped weights: safetensors files inside the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pvcnn.encoding import read_json
from pvcnn.errors import DecodeError
from pvcnn.models.deepfake import DeepfakeDetector
from pvcnn.models.lenet import LeNet5

DETECTOR_FORMAT = "pvcnn-detector"
LENET_FORMAT = "pvcnn-lenet"
VERSION = "1"
WEIGHTS = Path(__file__).with_name("deepfake.safetensors")
LENET_WEIGHTS = Path(__file__).with_name("lenet.safetensors")


def load_detector(path: Path = WEIGHTS) -> DeepfakeDetector:
    """The trained detector in eval mode. Its threshold is part of its bias: fake means logit > 0.

    Raises DecodeError if the file is not a detector's weights.
    """
    model = DeepfakeDetector()
    load_weights(model, path, DETECTOR_FORMAT)
    return model


def save_detector(model: DeepfakeDetector, path: Path, recipe: dict[str, Any]) -> None:
    """As `save_weights`."""
    save_weights(model, path, DETECTOR_FORMAT, recipe)


def load_lenet(path: Path = LENET_WEIGHTS) -> LeNet5:
    """The LeNet-5 that was trained on digits, in eval mode. Raises DecodeError for other files."""
    model = LeNet5()
    load_weights(model, path, LENET_FORMAT)
    return model


def save_weights(model: nn.Module, path: Path, file_format: str, recipe: dict[str, Any]) -> None:
    """Writes the weights and, as metadata, how they came about (`recipe`, anything JSON holds)."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in _weights(model).items()}
    metadata = {"format": file_format, "version": VERSION, "recipe": json.dumps(recipe, sort_keys=True)}
    safetensors.torch.save_file(tensors, path, metadata)


def load_weights(model: nn.Module, path: Path, file_format: str) -> None:
    """Fills `model`, which is left in eval mode.

    Raises DecodeError if the file is not of that format, or its tensors are not the model's, or not finite.
    """
    recipe(path, file_format)
    expected = {name: tensor.shape for name, tensor in _weights(model).items()}
    tensors = safetensors.torch.load_file(path)
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise DecodeError(f"{path.name}: the tensors are not those of a {type(model).__name__}")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise DecodeError(f"{path.name}: a weight is not finite")
    model.load_state_dict(tensors, strict=False)
    model.eval()


def recipe(path: Path = WEIGHTS, file_format: str = DETECTOR_FORMAT) -> dict[str, Any]:
    """How the weights came about, as the training script noted it. Raises DecodeError."""
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
    except safetensors.SafetensorError as error:
        raise DecodeError(f"{path.name}: {error}") from error
    if metadata.get("format") != file_format or metadata.get("version") != VERSION:
        raise DecodeError(f"{path.name}: not weights of the format {file_format}, version {VERSION}")
    try:
        noted: dict[str, Any] = read_json(metadata["recipe"], f"{path.name}: its recipe")
    except (KeyError, ValueError) as error:
        raise DecodeError(f"{path.name}: the recipe is missing or malformed") from error
    return noted


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """What inference depends on."""
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
