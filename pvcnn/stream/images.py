"""Picture files that strangers may have written: whole, of a known format and of bounded size, or refused.

Versions of OpenCV fill what is missing of a truncated file with gray and say nothing, so that half a face
would be decided; and a few bytes can announce a picture that fills the memory. Both are looked at before it
decodes. Damage inside a JPEG's scan is not seen by anyone: the format has no checksum.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DecodeError
from pvcnn.stream.opencv import MAX_PIXELS, opencv

MAX_FILE_BYTES = 64 << 20
#: Names that are taken for pictures, in lower case.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_START_OF_SCAN = 0xDA
#: Markers SOF0 to SOF15, less three that are none: a JPEG's size stands behind one of them.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """(height, width) gray levels of a PNG or JPEG file, turned as its EXIF orientation says.

    Raises DecodeError for any other file, one that is not whole, and one of more than MAX_PIXELS.
    """
    width, height = _dimensions(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise DecodeError(f"{width}x{height} pixels: a picture has 1 to {MAX_PIXELS}")
    cv2 = opencv()
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise DecodeError("OpenCV cannot decode the picture") from error
    if picture is None or picture.ndim != 2 or picture.size != width * height:
        raise DecodeError("OpenCV cannot decode the picture")
    gray: NDArray[np.uint8] = picture
    return gray


def _dimensions(data: bytes) -> tuple[int, int]:
    """(width, height) that the file announces. Raises DecodeError unless it is whole."""
    try:
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(_JPEG):
            return _jpeg(data)
    except struct.error as error:
        raise DecodeError("the picture is cut off") from error
    raise DecodeError("neither a PNG nor a JPEG picture")


def _png(data: bytes) -> tuple[int, int]:
    """Walks the chunks to the last one; every checksum must be right."""
    position, dimensions = len(_PNG), None
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(data[position + 4 : position + 8 + length]) != checksum:
            raise DecodeError("the picture is damaged: a checksum of the PNG file is wrong")
        if dimensions is None:
            if kind != b"IHDR" or length != 13:
                raise DecodeError("the PNG file does not begin with its header")
            dimensions = struct.unpack_from(">II", data, position + 8)
        if kind == b"IEND":
            return dimensions
        position += 12 + length


def _jpeg(data: bytes) -> tuple[int, int]:
    """Walks the segments to the first scan, behind which the end of the image must come."""
    position, dimensions = 2, None
    while True:
        start, marker = struct.unpack_from("BB", data, position)
        if start != 0xFF:
            raise DecodeError("the picture is damaged: no marker where the JPEG file needs one")
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 5)
            dimensions = (width, height)
        if marker == _START_OF_SCAN:
            break
        position += 2 + length
    if dimensions is None:
        raise DecodeError("the JPEG file does not state its size")
    if data.find(b"\xff\xd9", position + 2 + length) < 0:
        raise DecodeError("the picture is cut off")
    return dimensions
