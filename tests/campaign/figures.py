"""Figures of attacks such as the owner of a tiny campaign would give, and cuts that hide nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pvcnn.leak.summary import LeakSummary, PersonFigures
from pvcnn.program.private import PrivateConvolution, PrivatePart
from pvcnn.program.windows import Windows

#: Of 1x16x16 frames and 2x4x4 features.
FIGURES = LeakSummary(
    cut="1",
    private="Conv2d 1-2 3x3, Square, AveragePool 4x4",
    data="noise",
    input_shape=(1, 16, 16),
    feature_shape=(2, 4, 4),
    training_frames=100,
    budget_milliseconds=1000,
    decoder_steps=10,
    psnr=18_500,
    similarity=-20,
    candidates=320,
    frames_by_decoder=510,
    frames_by_best=930,
    people=PersonFigures("person", 8, 350, 900, 110),
    is_blindly_identified=False,
    weights_method="quadratic system",
    copied_error=3,
    correlation=700,
    shuffled_correlation=640,
)
#: The same of `linear_part`.
LINEAR_FIGURES = replace(FIGURES, private="Conv2d 1-2 4x4 stride 4")


def linear_part() -> PrivatePart:
    """Fails rule (a): 1x16x16 frames to 2x4x4 features by one convolution of stride 4."""
    kernels = np.random.default_rng(1).uniform(-0.4, 0.4, (2, 1, 4, 4))
    stem = PrivateConvolution("stem", kernels, np.zeros(2), Windows.square(4, 4, 0))
    return PrivatePart((1, 16, 16), 2.0, (stem,), 1 / 32, (2, 4, 4))
