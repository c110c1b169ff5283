"""SEAL's own serialisation, written by us from checked residues.

SEAL offers no way to set a ciphertext's or key's coefficients but to load a file. So what comes from outside
is decoded and checked here, in NumPy, and SEAL's parser only ever reads uncompressed files whose every
metadata field this module wrote. Layouts: SEAL 4.x, `save_members` of each class.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from pvcnn.he.residues import Residues

_MAGIC = 0xA15E
_HEADER_BYTES = 16
_UNCOMPRESSED = 0


def _with_header(body: bytes) -> bytes:
    version = seal.Serialization.SEALHeader()
    return (
        struct.pack(
            "<HBBBBHQ",
            _MAGIC,
            _HEADER_BYTES,
            version.version_major,
            version.version_minor,
            _UNCOMPRESSED,
            0,
            _HEADER_BYTES + len(body),
        )
        + body
    )


def _array(values: Residues) -> bytes:
    return _with_header(struct.pack("<Q", values.size) + np.ascontiguousarray(values, "<u8").tobytes())


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
    """The coefficients of a SEAL ciphertext or plaintext, in the given shape."""
    count = int(np.prod(shape))
    return np.fromiter(map(polynomials.__getitem__, range(count)), np.uint64, count).reshape(shape)
