"""Fakes made from real faces: self-blended images and cross-person blends.

A fake is `mask * inner + (1 - mask) * outer` with a soft, wavy elliptic mask over the face:

- self-blend (SBI, arXiv 2204.08376): inner and outer are one image, of which one was disturbed;
- swap (Face X-ray, arXiv 1912.13458): inner is a similar face of another person of the same group,
  its mean and deviation under the mask matched to the outer image's.

Everything happens on 80x80 crops, of which the middle 64x64 remain: no border ever shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pvcnn.data.faces import HEIGHT, IMAGES_PER_PERSON, WIDTH
from pvcnn.data.transforms import Strength, chance, degrade, disturb, uniform

SIDE = 64
CANVAS = 80
MARGIN = (CANVAS - SIDE) // 2
#: Where the 80x80 crop lies, and how far it moves either way.
TOP, LEFT = 20, 6
MOVE_DOWN, MOVE_ACROSS = 7, 5
#: A swap takes its face from one of so many most similar images of other people.
NEIGHBOURS = 30
#: A real frame of which the whole was disturbed: without these, a network learns the disturbance.
DISTURBED_REALS = 0.5


class Kind(IntEnum):
    """What a frame is; everything but REAL is a fake."""

    REAL = 0
    SELF_BLEND = 1
    SWAP = 2


@dataclass(frozen=True)
class Batch:
    """frames (n, 64, 64) uint8; kinds and people (n,) int64; masks (n, 64, 64) float32, 0 for reals."""

    frames: Tensor
    kinds: Tensor
    people: Tensor
    masks: Tensor

    @property
    def labels(self) -> Tensor:
        """(n,) int64: 1 fake, 0 real."""
        return (self.kinds != Kind.REAL).long()


class FrameMaker:
    """Makes frames out of the faces of one group of people, and of nobody else."""

    def __init__(self, faces: NDArray[np.uint8], people: tuple[int, ...]) -> None:
        """`faces` is (40, 10, 112, 92) uint8, as `load_faces` returns it; `people` indexes it."""
        if len(people) < 2:
            raise ValueError("a swap needs two people")
        self.people = torch.tensor(people).repeat_interleave(IMAGES_PER_PERSON)
        self._images = torch.from_numpy(
            faces[list(people)].reshape(-1, HEIGHT, WIDTH).astype(np.float32) / 255
        )
        self._neighbours = self._nearest()

    def __len__(self) -> int:
        """The number of images to choose from."""
        return len(self._images)

    def make(self, sources: Tensor, kinds: Tensor, generator: Generator, *, hard: bool = False) -> Batch:
        """One frame per entry of `sources` (indices below len(self)) of the kind beside it.

        `hard` degrades whole frames, real and fake alike.
        """
        n = len(sources)
        down = torch.randint(-MOVE_DOWN, MOVE_DOWN + 1, (n,), generator=generator)
        across = torch.randint(-MOVE_ACROSS, MOVE_ACROSS + 1, (n,), generator=generator)
        flipped = chance(n, 0.5, generator)
        result = self._crop(sources, down, across, flipped)
        masks = torch.zeros_like(result)

        real = (kinds == Kind.REAL).nonzero()[:, 0]
        whole = real[chance(len(real), DISTURBED_REALS, generator)]
        result[whole] = disturb(result[whole], generator, Strength())

        own = (kinds == Kind.SELF_BLEND).nonzero()[:, 0]
        masks[own] = wavy_masks(len(own), generator)
        inside = chance(len(own), 0.5, generator)[:, None, None]
        changed = torch.where(inside, masks[own], 1 - masks[own])
        result[own] += changed * (disturb(result[own], generator, Strength()) - result[own])

        swapped = (kinds == Kind.SWAP).nonzero()[:, 0]
        masks[swapped] = wavy_masks(len(swapped), generator)
        choice = torch.randint(self._neighbours.shape[1], (len(swapped),), generator=generator)
        donors = self._neighbours[sources[swapped], choice]
        faces = self._crop(donors, down[swapped], across[swapped], flipped[swapped])
        result[swapped] = _swap(result[swapped], faces, masks[swapped])

        if hard:
            result = degrade(result, generator)
        frames = (_middle(result) * 255).round().clamp(0, 255).to(torch.uint8)
        return Batch(frames, kinds, self.people[sources], _middle(masks))

    def draw(self, reals: int, fakes: int, generator: Generator, *, hard: bool = False) -> Batch:
        """Reals first, then fakes, half of them (rounded down) self-blends; random sources."""
        kinds = torch.full((reals + fakes,), int(Kind.SWAP))
        kinds[:reals] = Kind.REAL
        kinds[reals : reals + fakes // 2] = Kind.SELF_BLEND
        sources = torch.randint(len(self), (reals + fakes,), generator=generator)
        return self.make(sources, kinds, generator, hard=hard)

    def _crop(self, sources: Tensor, down: Tensor, across: Tensor, flipped: Tensor) -> Tensor:
        rows = (TOP + down)[:, None] + torch.arange(CANVAS)
        columns = (LEFT + across)[:, None] + torch.arange(CANVAS)
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
        return self._images[sources[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _nearest(self) -> Tensor:
        """(images, NEIGHBOURS) the most similar images of other people, at a quarter of the size."""
        crops = self._images[:, TOP : TOP + CANVAS, LEFT : LEFT + CANVAS]
        small = torch.nn.functional.avg_pool2d(crops[:, None], 4).flatten(1)
        small = small - small.mean(1, keepdim=True)
        distance = torch.cdist(
            small / small.norm(dim=1, keepdim=True), small / small.norm(dim=1, keepdim=True)
        )
        distance[self.people[:, None] == self.people] = math.inf
        others = int((self.people != self.people[0]).sum())
        return distance.topk(min(NEIGHBOURS, others), largest=False).indices


def wavy_masks(count: int, generator: Generator) -> Tensor:
    """(count, 80, 80) in [0, 1]: ellipses with a wavy rim, 0.6 to 4 pixels soft, about the middle."""
    axis = torch.arange(CANVAS) - (CANVAS - 1) / 2
    y = axis[None, :, None] - uniform(count, -4, 4, generator)[:, None, None]
    x = axis[None, None, :] - uniform(count, -4, 4, generator)[:, None, None]
    height = uniform(count, 15, 27, generator)[:, None, None]
    width = uniform(count, 12, 23, generator)[:, None, None]
    radius = torch.sqrt((y / height) ** 2 + (x / width) ** 2)
    angle = torch.atan2(y / height, x / width)
    rim = torch.ones_like(radius)
    for waves in (2, 3, 5):
        depth = uniform(count, 0, 0.24 / waves, generator)[:, None, None]
        phase = uniform(count, 0, 2 * math.pi, generator)[:, None, None]
        rim = rim + depth * torch.cos(waves * angle + phase)
    softness = torch.exp(uniform(count, math.log(0.6), math.log(4), generator))[:, None, None]
    return torch.sigmoid((rim - radius) * torch.sqrt(height * width) / softness * 2)


def _swap(outer: Tensor, face: Tensor, masks: Tensor) -> Tensor:
    weight = masks.sum((1, 2), keepdim=True)

    def moments(images: Tensor) -> tuple[Tensor, Tensor]:
        mean = (images * masks).sum((1, 2), keepdim=True) / weight
        variance = ((images - mean) ** 2 * masks).sum((1, 2), keepdim=True) / weight
        return mean, variance.sqrt()

    outer_mean, outer_deviation = moments(outer)
    face_mean, face_deviation = moments(face)
    matched = (face - face_mean) / face_deviation.clamp_min(1e-3) * outer_deviation + outer_mean
    return masks * matched.clamp(0, 1) + (1 - masks) * outer


def _middle(images: Tensor) -> Tensor:
    return images[:, MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
