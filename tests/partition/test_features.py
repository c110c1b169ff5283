"""The range of features follows from what the private part ends with."""

from __future__ import annotations

import pytest
from torch import nn

from pvcnn.partition.split import split
from tests.partition.networks import chain, smooth_frames, stem

FRAMES = smooth_frames(4)


@pytest.mark.parametrize(
    ("ending", "bounds"),
    [
        ([nn.AvgPool2d(2)], (0, 4095)),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.AvgPool2d(2)], (-2048, 2047)),
    ],
    ids=["square", "convolution"],
)
def test_features_are_signed_where_they_can_be_negative(
    ending: list[nn.Module], bounds: tuple[int, int]
) -> None:
    public = [nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)]
    part = split(chain(*stem(pool=2, filters=2), *ending, *public), FRAMES, cut=len(ending))
    assert (part.public.program.input_low, part.public.program.input_high) == bounds
