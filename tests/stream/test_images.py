"""Picture files: whole ones are decoded, all others are refused before OpenCV fills in what is missing."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from pvcnn.errors import DecodeError
from pvcnn.stream import images
from pvcnn.stream.images import decode_picture
from pvcnn.stream.opencv import MAX_PIXELS
from tests.stream.pictures import encoded, picture


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_png_gives_its_pixels() -> None:
    pixels = picture(1, 30, 50)
    assert np.array_equal(decode_picture(encoded(pixels)), pixels)


def test_a_jpeg_gives_nearly_its_pixels() -> None:
    pixels = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (40, 1))
    assert np.abs(decode_picture(encoded(pixels, ".jpg")).astype(int) - pixels).max() < 8


def test_colours_become_gray() -> None:
    coloured = np.zeros((20, 20, 3), np.uint8)
    coloured[..., 1] = 200
    assert decode_picture(encoded(coloured)).tolist() == [[117] * 20] * 20


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_no_beginning_of_a_picture_is_a_picture(suffix: str) -> None:
    """There are versions of OpenCV that decode most of these, with gray where the face would go on."""
    data = encoded(picture(2, 40, 40), suffix)
    for length in [*range(0, len(data) - 1, 23), len(data) - 1]:
        with pytest.raises(DecodeError):
            decode_picture(data[:length])


def test_a_damaged_png_is_refused() -> None:
    data = bytearray(encoded(picture(3)))
    for position in range(8, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(DecodeError):
            decode_picture(bytes(damaged))


def test_bytes_of_every_kind_raise_nothing_else() -> None:
    generator = np.random.default_rng(4)
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM"):
        for length in (0, 1, 5, 40, 3000):
            with pytest.raises(DecodeError):
                decode_picture(start + generator.bytes(length))


@pytest.mark.parametrize(("width", "height"), [(1 << 20, 1 << 20), (0, 5), (MAX_PIXELS, 2)])
def test_sizes_are_bounded_before_anything_is_decoded(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(images, "opencv", never)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match="pixels"):
        decode_picture(png)


def test_a_jpegs_size_is_bounded_too() -> None:
    data = bytearray(encoded(picture(5), ".jpg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(DecodeError, match="65535x65535"):
        decode_picture(bytes(data))


def test_a_header_that_lies_about_the_size_is_refused() -> None:
    """A second header, of another size than the one that was looked at."""
    data = encoded(picture(6, 20, 20), ".jpg")
    frame = data.index(b"\xff\xc0")
    segment = bytearray(data[frame : frame + 2 + 11])
    segment[5:9] = struct.pack(">HH", 10, 10)
    with pytest.raises(DecodeError):
        decode_picture(data[:frame] + data[frame : frame + 13] + bytes(segment) + data[frame + 13 :])
