"""Handwritten digits, as scikit-learn ships them, upscaled to the 32x32 that LeNet-5 takes.

1797 digits of 8x8 pixels and 17 grey levels: the test part of "Optical recognition of handwritten digits"
(E. Alpaydin, C. Kaynak, UCI machine learning repository, 1998). pvcnn contains none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DependencyMissing

SIDE = 32
#: The last digits of the data set are for testing.
TEST_DIGITS = 360
_WHITE = 16.0


@dataclass(frozen=True)
class Digits:
    """frames: (n, 1, 32, 32) float64 in [0, 1]; labels: (n,) int64, 0 to 9."""

    frames: NDArray[np.float64]
    labels: NDArray[np.int64]


def load_digits() -> tuple[Digits, Digits]:
    """The digits to train with and those to test with, in the order in which they were collected.

    The split is by place, not at random: neighbours in the data set were written by the same hand.
    Raises DependencyMissing without scikit-learn.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DependencyMissing("the digits ship with scikit-learn: pip install 'pvcnn[demo]'") from error
    stored = datasets.load_digits()
    frames = upscale(stored.images / _WHITE)[:, None]
    labels = stored.target.astype(np.int64)
    return (
        Digits(frames[:-TEST_DIGITS], labels[:-TEST_DIGITS]),
        Digits(frames[-TEST_DIGITS:], labels[-TEST_DIGITS:]),
    )


def upscale(images: NDArray[np.float64], side: int = SIDE) -> NDArray[np.float64]:
    """(n, k, k) to (n, side, side), bilinear, pixels as squares; constant beyond the outer centres."""
    small = images.shape[-1]
    places = np.clip((np.arange(side) + 0.5) * small / side - 0.5, 0, small - 1)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(small)))
    upscaled: NDArray[np.float64] = weights @ images @ weights.T
    return upscaled
