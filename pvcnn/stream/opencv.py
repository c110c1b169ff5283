"""OpenCV, imported only where a stream needs it, and with bounds on what it decodes."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

from pvcnn.errors import DependencyMissing

#: The largest picture that is decoded; a 4K frame has 8.3 million pixels.
MAX_PIXELS = 1 << 25


@cache
def opencv() -> ModuleType:
    """The module `cv2`. Raises DependencyMissing, naming the extra."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # read once, at import
    try:
        import cv2
    except ImportError as error:
        raise DependencyMissing("streams are read with OpenCV: pip install 'pvcnn[stream]'") from error
    cv2.setNumThreads(1)  # the processors are the provers'
    if hasattr(cv2, "utils") and hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what fails is flagged by us
    return cv2
