"""Videos and cameras, as OpenCV captures them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import CampaignError, DecodeError
from pvcnn.stream.opencv import MAX_PIXELS, opencv
from pvcnn.stream.sources import Picture


class VideoSource:
    """The frames of a video file, as fast as they are taken.

    frame_rate: of each second of the video so many frames, evenly spread; all if None or if the video has
    no more. A video that ends before the number of frames that it states has one more, unreadable.
    """

    waits = True

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        cv2 = opencv()
        self.ended = ""
        self._name = path.name
        # Nothing but a file of FFmpeg's formats: never an address, a pipeline or a pattern of file names.
        self._capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise CampaignError(f"{path} is no video that OpenCV can read")
        _check_size(self._capture, str(path))
        own_rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._share = 1.0
        if frame_rate is not None and own_rate > 0 and math.isfinite(own_rate):
            self._share = min(1.0, frame_rate / own_rate)
        self._stated = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._next = 0

    def take(self, seconds: float) -> Picture | None:
        end = time.monotonic() + seconds
        while not self.ended:
            if not self._capture.grab():
                self.ended = "the video has ended"
                return self._missing()
            number = self._next
            self._next += 1
            if math.ceil((number + 1) * self._share) > math.ceil(number * self._share):
                return _picture(f"{self._name}#{number}", *self._capture.retrieve())
            if time.monotonic() > end:
                break
        return None

    def close(self) -> None:
        self._capture.release()

    def _missing(self) -> Picture | None:
        if self._next >= self._stated:
            return None
        problem = f"unreadable: frames {self._next} to {self._stated - 1}, which the video states to have"
        return Picture(f"{self._name}#{self._next}", None, problem)


class CameraSource:
    """What a camera sees now: it waits for nobody.

    frame_rate: so many frames a second at most, the others are not asked for. open_capture: what opens
    the device, OpenCV unless something else is given.
    """

    waits = False

    def __init__(
        self,
        index: int,
        frame_rate: float | None = None,
        open_capture: Callable[[int], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ended = ""
        self._name = f"camera-{index}"
        self._capture = (open_capture or opencv().VideoCapture)(index)
        if not self._capture.isOpened():
            raise CampaignError(f"there is no camera {index}, or another program has it")
        _check_size(self._capture, self._name)
        self._clock = clock
        self._interval = 0.0 if frame_rate is None else 1 / frame_rate
        self._due = -math.inf
        self._next = 0

    def take(self, seconds: float) -> Picture | None:
        end = self._clock() + seconds
        while not self.ended:
            if not self._capture.grab():  # waits for the device
                self.ended = "the camera delivers no more"
                break
            now = self._clock()
            if now >= self._due:
                # From where it was due, so that the rate holds; but time that was missed is not made up.
                due = self._due + self._interval
                self._due = due if due > now else now + self._interval
                name = f"{self._name}#{self._next}"
                self._next += 1
                return _picture(name, *self._capture.retrieve())
            if now > end:
                break
        return None

    def close(self) -> None:
        self._capture.release()


def _check_size(capture: Any, name: str) -> None:
    cv2 = opencv()
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if not width * height <= MAX_PIXELS:
        raise CampaignError(f"{name} has frames of {width:g}x{height:g}: a frame has at most {MAX_PIXELS}")


def _picture(name: str, good: bool, pixels: NDArray[np.uint8] | None) -> Picture:
    if not good or pixels is None:
        return Picture(name, None, "unreadable: OpenCV cannot decode the frame")
    try:
        return Picture(name, _gray(pixels))
    except DecodeError as error:
        return Picture(name, None, f"unreadable: {error}")


def _gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) of (H, W) or of blue, green and red, (H, W, 3)."""
    if pixels.dtype != np.uint8 or not 0 < pixels.size <= 3 * MAX_PIXELS:
        raise DecodeError("a frame has bytes, and not too many")
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DecodeError("a frame is gray, or blue, green and red")
    cv2 = opencv()
    gray: NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return gray
