"""SEAL's own serialisation, written by us from checked residues, and read for its coefficients.

SEAL offers no way to set a ciphertext's or key's coefficients but to load a file. So what comes from outside
is decoded and checked here, in NumPy, and SEAL's parser only ever reads uncompressed files whose every
metadata field this module wrote. Layouts: SEAL 4.x, `save_members` of each class.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tenseal.sealapi as seal
import zstandard

from pvcnn.he.residues import Residues

_MAGIC = 0xA15E
#: Magic number, the header's own length, SEAL's version, compression, reserved, length of it all.
_HEADER = struct.Struct("<HBBBBHQ")
_UNCOMPRESSED, _ZLIB = 0, 1
_COUNT = struct.Struct("<Q")
_WORD_BYTES = 8


def _with_header(body: bytes) -> bytes:
    version = seal.Serialization.SEALHeader()
    return (
        _HEADER.pack(
            _MAGIC,
            _HEADER.size,
            version.version_major,
            version.version_minor,
            _UNCOMPRESSED,
            0,
            _HEADER.size + len(body),
        )
        + body
    )


def _array(values: Residues) -> bytes:
    return _with_header(_COUNT.pack(values.size) + np.ascontiguousarray(values, "<u8").tobytes())


def _identifier(parms_id: list[int]) -> bytes:
    return struct.pack("<4Q", *parms_id)


def ciphertext_stream(parms_id: list[int], scale: float, components: Residues) -> bytes:
    """A ciphertext, or a public key at scale 1, in transformed form.

    components: (components, primes, degree), each coefficient below its prime.
    """
    count, primes, degree = components.shape
    members = _identifier(parms_id) + struct.pack("<?QQQdQ", True, count, degree, primes, scale, 1)
    return _with_header(members + _array(components))


def key_switching_stream(parms_id: list[int], keys: dict[int, Residues]) -> bytes:
    """Relinearisation or Galois keys: place in SEAL's list -> (digits, 2, primes, degree)."""
    parts = [_identifier(parms_id), struct.pack("<Q", max(keys) + 1)]
    for place in range(max(keys) + 1):
        digits = keys.get(place)
        parts.append(struct.pack("<Q", 0 if digits is None else len(digits)))
        if digits is not None:
            parts.extend(ciphertext_stream(parms_id, 1.0, digit) for digit in digits)
    return _with_header(b"".join(parts))


def secret_key_stream(parms_id: list[int], polynomial: Residues) -> bytes:
    """A secret key, (primes, degree) in transformed form."""
    members = _identifier(parms_id) + struct.pack("<Qd", polynomial.size, 1.0)
    return _with_header(members + _array(polynomial))


def load(target: Any, context: seal.SEALContext, stream: bytes) -> None:
    """Makes `target` (a SEAL ciphertext or key) what `stream` describes; SEAL checks it once more."""
    with _private_file(stream) as path:
        target.load(context, path)


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """The path of a file that only this user can read: in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pvcnn", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:
        with tempfile.NamedTemporaryFile(prefix="pvcnn-") as handle:  # mode 0600
            handle.write(content)
            handle.flush()
            yield handle.name


def coefficients(polynomials: Any, shape: tuple[int, ...]) -> Residues:
    """The coefficients of a SEAL ciphertext or plaintext, in the given shape.

    From what SEAL saves: asking for one coefficient after the other takes eight times as long. Raises
    ValueError for another number of them.
    """
    with _private_file(b"") as path:
        polynomials.save(path)
        members = _body(Path(path).read_bytes())
    count = math.prod(shape)
    array = members[-_COUNT.size - _WORD_BYTES * count :]
    if len(array) != _COUNT.size + _WORD_BYTES * count or _COUNT.unpack_from(array) != (count,):
        raise ValueError(f"SEAL has not saved {count} coefficients")
    return np.frombuffer(array, "<u8", offset=_COUNT.size).astype(np.uint64).reshape(shape)


def _body(stream: bytes) -> bytes:
    """What follows a header of SEAL's, which names the compression: the best that its build has."""
    _, length, _, _, compression, _, _ = _HEADER.unpack_from(stream)
    if compression == _UNCOMPRESSED:
        return stream[length:]
    if compression == _ZLIB:
        return zlib.decompress(stream[length:])
    return zstandard.ZstdDecompressor().decompressobj().decompress(stream[length:])
