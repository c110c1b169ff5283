"""From a picture to the square that the network takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DecodeError
from pvcnn.stream.opencv import opencv


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture, in pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Crop:
        """'X,Y,W,H'. Raises ValueError for anything else."""
        match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", text)
        if match is None or not int(match[3]) or not int(match[4]):
            raise ValueError("a crop is X,Y,W,H: four whole numbers of pixels, the last two above zero")
        return cls(*map(int, match.groups()))


def cut_square(picture: NDArray[np.uint8], crop: Crop | None, side: int) -> NDArray[np.uint8]:
    """(side, side) uint8: the largest centred square of the crop, or of the whole picture, (H, W) uint8.

    Made smaller by averaging areas, and exactly the picture's pixels where its side is `side` already.
    Raises DecodeError for a crop that is not inside the picture, and for a square that would have to be
    enlarged: what the network looks at is fine detail, which enlarging can only invent.
    """
    height, width = picture.shape
    if crop is not None:
        if crop.left + crop.width > width or crop.top + crop.height > height:
            raise DecodeError(f"the crop is not inside the picture of {width}x{height}")
        picture = picture[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        height, width = picture.shape
    length = min(height, width)
    if length < side:
        raise DecodeError(f"{width}x{height} pixels: the network needs {side}x{side} at least")
    top, left = (height - length) // 2, (width - length) // 2
    square = np.ascontiguousarray(picture[top : top + length, left : left + length])
    if length == side:
        return square
    cv2 = opencv()
    smaller: NDArray[np.uint8] = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return smaller
