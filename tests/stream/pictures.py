"""Pictures, videos and a network small enough for streams of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.points import random_scalar
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights
from pvcnn.stream.base import StreamModel
from tests.campaign import tiny

SIDE = tiny.FRAME_SHAPE[1]


def prepare(square: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(16, 16) bytes to the tiny network's (1, 16, 16), within its bound."""
    return (square.astype(np.float64) / 127.5 - 1)[None]


def tiny_model() -> StreamModel:
    """Decides whether a picture has much contrast: 1 for odd, 0 for even ones, whatever flooding does."""
    program = tiny.public_part(1).program
    first, second = np.zeros((8, 32), np.int64), np.zeros((1, 8), np.int64)
    first[0], second[0, 0] = 31, 31
    bias = {"first": np.zeros(8, np.int64), "second": np.array([-31 * 20])}
    weights = Weights(program, {"first": first, "second": second}, bias, random_scalar())
    return StreamModel(tiny.private_part(1), PublicPart(program, weights), SIDE, prepare)


def picture(seed: int, height: int = SIDE, width: int = SIDE) -> NDArray[np.uint8]:
    """Noise of its own: of much contrast for odd seeds, of little for even ones."""
    generator = np.random.default_rng(seed)
    strength = 110 if seed % 2 else 15
    return (128 + strength * generator.uniform(-1, 1, (height, width))).astype(np.uint8)


def encoded(pixels: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    good, data = cv2.imencode(suffix, pixels)
    assert good
    return bytes(data)


def fill(directory: Path, count: int, start: int = 0) -> list[str]:
    """So many pictures, each renamed into place; their names."""
    names = [f"frame-{number:03d}.png" for number in range(start, start + count)]
    for number, name in enumerate(names, start):
        partial = directory / f".{name}.part"
        partial.write_bytes(encoded(picture(number)))
        partial.rename(directory / name)
    return names


def write_video(path: Path, frames: int, side: int = SIDE, rate: int = 10, noise: bool = False) -> None:
    """Frame n has n * 10 in all its pixels, or noise."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (side, side))
    assert writer.isOpened()
    for number in range(frames):
        level = picture(number, side, side) if noise else np.full((side, side), number * 10, np.uint8)
        writer.write(np.repeat(level[..., None], 3, 2))
    writer.release()


class FakeCapture:
    """A camera as OpenCV presents one: `frames` pictures, then silence."""

    def __init__(self, frames: int, height: int = SIDE, width: int = SIDE) -> None:
        self.left, self.size, self.released = frames, (height, width), False
        self.taken = 0

    def isOpened(self) -> bool:
        return not self.released

    def get(self, what: int) -> float:
        sizes = {cv2.CAP_PROP_FRAME_WIDTH: self.size[1], cv2.CAP_PROP_FRAME_HEIGHT: self.size[0]}
        return float(sizes.get(what, 0))

    def grab(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.taken += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.repeat(picture(self.taken, *self.size)[..., None], 3, 2)

    def release(self) -> None:
        self.released = True
