"""The attacker's networks: small, convolutional, for features of any shape."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

#: Pixels of a frame for each place of the grid on which the networks work.
CELL = 4
WIDTH, FINE, GLOBAL, CODE = 64, 8, 192, 64
_TINY = 1e-6


class Grid(nn.Module):
    """Features of any shape, and their signed roots, standardised, as maps on the networks' grid.

    Roots, because features of squares are heavy-tailed. Maps finer than the grid are folded into
    channels, coarser ones interpolated: neither loses anything. Flat features are spread by a trained
    matrix. Statistics are those of `features` (n, *shape), which the attacker trains with.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Tensor, frame_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.side = (math.ceil(frame_shape[1] / CELL), math.ceil(frame_shape[2] / CELL))
        self.is_map = features.ndim == 4 and min(features.shape[2:]) > 1
        both = self._with_roots(features)
        across = (0, 2, 3) if self.is_map else (0,)
        self.register_buffer("mean", both.mean(across, keepdim=True)[0])
        self.register_buffer("deviation", both.std(across, keepdim=True)[0] + _TINY)
        self.numbers = math.prod(both.shape[1:])
        self.channels = both.shape[1]
        self.fold = 1
        if self.is_map:
            self.fold = max(1, *(math.ceil(n / g) for n, g in zip(both.shape[2:], self.side, strict=True)))
            self.channels *= self.fold**2
        else:
            self.channels = CODE // 2
            self.spread = nn.Linear(self.numbers, self.channels * math.prod(self.side))

    def _with_roots(self, features: Tensor) -> Tensor:
        values = features if self.is_map else features.flatten(1)
        return torch.cat([values, values.sign() * values.abs().sqrt()], 1)

    def standardised(self, features: Tensor) -> Tensor:
        """(n, ...) without the grid."""
        return (self._with_roots(features) - self.mean) / self.deviation

    def forward(self, features: Tensor) -> Tensor:
        """(n, *shape) to (n, channels, *side)."""
        values = self.standardised(features)
        if not self.is_map:
            return cast(Tensor, self.spread(values)).reshape(-1, self.channels, *self.side)
        wanted = tuple(self.fold * side for side in self.side)
        if tuple(values.shape[2:]) != wanted:
            values = F.interpolate(values, wanted, mode="bilinear", align_corners=False)
        return F.pixel_unshuffle(values, self.fold)


class Decoder(nn.Module):
    """From features to what the private part took and to the picture, side by side as channels.

    Convolutions on the grid see neighbourhoods; a narrow path through all features sees the whole frame;
    a single convolution passes on what is linear.
    """

    def __init__(self, features: Tensor, frame_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.grid = Grid(features, frame_shape)
        channels = self.grid.channels
        places = math.prod(self.grid.side)
        self.whole = nn.Sequential(
            nn.Flatten(), nn.Linear(self.grid.numbers, GLOBAL), nn.GELU(), nn.Linear(GLOBAL, FINE * places)
        )
        self.first = nn.Conv2d(channels + FINE, WIDTH, 3, padding=1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.third = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.finer = nn.Conv2d(WIDTH, FINE * CELL**2, 3, padding=1)
        self.last = nn.Conv2d(FINE, outputs, 3, padding=1)
        self.linear = nn.Conv2d(channels, outputs * CELL**2, 3, padding=1)
        self.shape = frame_shape[1:]

    def forward(self, features: Tensor) -> Tensor:
        """(n, *shape) to (n, outputs, height, width)."""
        maps = self.grid(features)
        whole = self.whole(self.grid.standardised(features)).reshape(-1, FINE, *self.grid.side)
        hidden = F.gelu(self.first(torch.cat([maps, whole], 1)))
        hidden = hidden + F.gelu(self.second(hidden))
        hidden = hidden + F.gelu(self.third(hidden))
        fine = F.gelu(F.pixel_shuffle(self.finer(hidden), CELL))
        images = self.last(fine) + F.pixel_shuffle(self.linear(maps), CELL)
        return cast(Tensor, images)[..., : self.shape[0], : self.shape[1]]


class Encoder(nn.Module):
    """From features, or frames, to a direction in CODE dimensions: unit vectors (n, CODE)."""

    def __init__(self, features: Tensor, frame_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.grid = Grid(features, frame_shape)
        half = tuple(math.ceil(side / 2) for side in self.grid.side)
        self.body = nn.Sequential(
            nn.Conv2d(self.grid.channels, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, WIDTH // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(WIDTH // 2 * math.prod(half), CODE),
        )

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(cast(Tensor, self.body(self.grid(features))), dim=1)
