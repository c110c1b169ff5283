"""Small frames of people who do not exist, on which attacks take moments."""

from __future__ import annotations

import numpy as np
import torch

from pvcnn.data.smooth import smooth_frames
from pvcnn.leak.data import Frames, LeakData

SHAPE = (1, 16, 16)
PICTURES, CROPS = 4, 2


def people(count: int, first: int, seed: int) -> Frames:
    """PICTURES of each person, CROPS of each picture: a frame of their own, with others mixed in."""
    generator = np.random.default_rng(seed)
    faces = smooth_frames(count, SHAPE, seed)
    pictures = faces.repeat(PICTURES, 0) + 0.3 * smooth_frames(count * PICTURES, SHAPE, seed + 1)
    noise = 0.1 * generator.standard_normal((count * PICTURES * CROPS, *SHAPE))
    inputs = torch.from_numpy(np.tanh(pictures.repeat(CROPS, 0) + noise)).float()
    numbers = torch.arange(count * PICTURES) + 1000 * first
    who = torch.arange(first, first + count).repeat_interleave(PICTURES)
    return Frames(inputs, (inputs + 1) / 2, who.repeat_interleave(CROPS), numbers.repeat_interleave(CROPS))


def data() -> LeakData:
    return LeakData("synthetic people", "person", people(24, 0, 0), people(6, 24, 1))
