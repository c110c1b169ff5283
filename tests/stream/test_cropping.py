"""Crops are exact, squares are centred, and nothing is enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.errors import DecodeError
from pvcnn.stream.cropping import Crop, cut_square
from tests.stream.pictures import picture


def test_a_square_of_the_right_size_is_the_picture_itself() -> None:
    pixels = picture(1, 64, 64)
    assert np.array_equal(cut_square(pixels, None, 64), pixels)


@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(64, 101, 0, 18), (70, 64, 3, 0), (65, 64, 0, 0)]
)
def test_the_largest_square_is_centred(height: int, width: int, top: int, left: int) -> None:
    pixels = picture(2, height, width)
    assert np.array_equal(cut_square(pixels, None, 64), pixels[top : top + 64, left : left + 64])


def test_a_crop_is_cut_out_exactly() -> None:
    pixels = picture(3, 200, 300)
    assert np.array_equal(cut_square(pixels, Crop(31, 17, 64, 64), 64), pixels[17:81, 31:95])
    assert np.array_equal(cut_square(pixels, Crop(236, 136, 64, 64), 64), pixels[136:, 236:])
    assert np.array_equal(cut_square(pixels, Crop(10, 20, 100, 64), 64), pixels[20:84, 28:92])


def test_a_larger_square_is_averaged() -> None:
    pixels = picture(4, 128, 128)
    blocks = pixels.reshape(64, 2, 64, 2).astype(float).mean((1, 3))
    assert np.abs(cut_square(pixels, None, 64) - blocks).max() <= 0.5


@pytest.mark.parametrize("crop", [Crop(0, 0, 65, 64), Crop(1, 0, 64, 64), Crop(0, 1, 64, 64)])
def test_a_crop_beyond_the_picture_is_refused(crop: Crop) -> None:
    with pytest.raises(DecodeError, match="not inside the picture of 64x64"):
        cut_square(picture(5, 64, 64), crop, 64)


def test_nothing_is_enlarged() -> None:
    with pytest.raises(DecodeError, match="needs 64x64"):
        cut_square(picture(6, 63, 200), None, 64)
    with pytest.raises(DecodeError, match="needs 64x64"):
        cut_square(picture(6, 200, 200), Crop(0, 0, 64, 63), 64)


def test_crops_are_parsed() -> None:
    assert Crop.parse("1,2,30,40") == Crop(1, 2, 30, 40)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,0", "1,2,0,3", "-1,2,3,4", "1, 2,3,4", "a,b,c,d", "face"]
)
def test_other_crops_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="X,Y,W,H"):
        Crop.parse(text)
