"""The networks by name: how to make them, what they take, and frames to calibrate them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pvcnn.data.digits import load_digits
from pvcnn.data.frames import calibration_frames
from pvcnn.data.smooth import smooth_frames
from pvcnn.models.alexnet import AlexNet
from pvcnn.models.article import ArticleDetector
from pvcnn.models.deepfake import DeepfakeDetector, OneBlockDetector
from pvcnn.models.densenet import DenseNet
from pvcnn.models.inception import InceptionNetwork
from pvcnn.models.initialisation import initialise
from pvcnn.models.lenet import LeNet5
from pvcnn.models.mobilenet import MobileNetV2
from pvcnn.models.resnet import ResNet18
from pvcnn.models.store import load_detector, load_lenet, load_one_block_detector
from pvcnn.models.vgg import vgg11, vgg16
from pvcnn.models.xception import Xception

#: So many frames fix an untrained network's batch norm.
INITIAL_FRAMES = 32


@dataclass(frozen=True)
class Entry:
    """One network. `outputs` is the number of logits: that of the classes, or 1 for a yes or no.

    `constructor` makes it with torch's own random weights; `trained` loads shipped weights, if any ship.
    """

    constructor: Callable[[], nn.Module]
    input_shape: tuple[int, int, int]
    outputs: int
    description: str
    trained: Callable[[], nn.Module] | None = None


_GRAY_32, _COLOUR_32, _GRAY_64, _COLOUR_64 = (1, 32, 32), (3, 32, 32), (1, 64, 64), (3, 64, 64)

CATALOGUE: dict[str, Entry] = {
    "deepfake": Entry(DeepfakeDetector, _GRAY_64, 1, "the demo's deepfake detector", load_detector),
    "article": Entry(ArticleDetector, _GRAY_64, 1, "the detector in pvCNN's own order of layers"),
    "lenet5": Entry(LeNet5, _GRAY_32, 10, "LeNet-5", load_lenet),
    "alexnet": Entry(AlexNet, _COLOUR_32, 10, "AlexNet, 3x3 stem, hidden layers of 1024"),
    "vgg11": Entry(vgg11, _COLOUR_32, 10, "VGG-11 with batch norm, head 512-512-10"),
    "vgg16": Entry(vgg16, _COLOUR_32, 10, "VGG-16 with batch norm, head 512-512-10"),
    "resnet18": Entry(ResNet18, _COLOUR_32, 10, "ResNet-18, 3x3 stem"),
    "mobilenetv2": Entry(MobileNetV2, _COLOUR_32, 10, "MobileNetV2, first strides 1"),
    "inception": Entry(InceptionNetwork, _COLOUR_32, 10, "three Inception blocks, one reduction"),
    "densenet": Entry(DenseNet, _COLOUR_32, 10, "DenseNet-22, growth 12"),
    "deepfake-one-block": Entry(
        OneBlockDetector, _GRAY_64, 1, "the detector with one private block", load_one_block_detector
    ),
    "xception": Entry(Xception, _COLOUR_64, 1, "a small Xception"),
}


def create(name: str, seed: int = 0) -> nn.Module:
    """The network in eval mode, with its shipped weights or with seeded ones; the same seed, the same.

    Raises ValueError for a name that is not in the catalogue, and DecodeError for damaged weights.
    """
    entry = _entry(name)
    if entry.trained is not None:
        return entry.trained()
    with torch.random.fork_rng(devices=()):
        model = entry.constructor()
    initialise(model, frames(name, INITIAL_FRAMES, seed), torch.Generator().manual_seed(seed))
    return model


def frames(name: str, count: int, seed: int = 0) -> Tensor:
    """(count, *input_shape) float32 frames to calibrate the network with.

    Training frames of the trained networks (digits; prepared faces, real and fake), smooth random frames
    in [-1, 1] for the others. Raises ValueError for an unknown name or more digits than there are, and
    DependencyMissing where digits or faces need a package.
    """
    entry = _entry(name)
    if name.startswith("deepfake"):
        drawn = calibration_frames(count, seed)
    elif name == "lenet5":
        drawn = _training_digits(count, seed)
    else:
        drawn = smooth_frames(count, entry.input_shape, seed)
    return torch.from_numpy(drawn).float()


def _training_digits(count: int, seed: int) -> NDArray[np.float64]:
    train, _ = load_digits()
    if count > len(train.frames):
        raise ValueError(f"there are {len(train.frames)} digits to train with, not {count}")
    return train.frames[np.random.default_rng(seed).permutation(len(train.frames))[:count]]


def _entry(name: str) -> Entry:
    if name not in CATALOGUE:
        raise ValueError(f"no model {name!r}: choose one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
