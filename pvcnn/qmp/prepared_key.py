"""A proving key that is ready to prove with: its points checked once, and kept in the kernels' own layout.

`open_proving_key` checks a key's points the first time and writes them beside the caller's secrets as the
kernels in use want them, under the digest of the proving key's file. Every later opening, by whatever
process, maps both files and believes the prepared one: whoever can write there could replace the secrets
themselves. Damage is another matter: sizes must be right, no value can lead a kernel out of its arrays, and
a proof that was made with wrong points does not verify and so never leaves the prover, which raises
VerificationError, or ValueError for sums that are no points. Without the file, the key is prepared anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.backends import backend
from pvcnn.algebra.batches import VECTOR_WORDS
from pvcnn.algebra.curve import g1_rows, g2_rows
from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import write_atomically, write_once
from pvcnn.qmp.array_file import Column, Layout
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.proving_key import LAYOUT, ProvingKey

FORMAT: Final = "pvcnn-prepared-key"
VERSION: Final = 1
_MODE: Final = 0o600
#: The arrays that a proof sums, and the degree of their coordinates' field; not lab_g1, which is small.
_DEGREES: Final = {
    "v_g2": 2,
    "u_g1": 1,
    "v_g1": 1,
    "in_g1": 1,
    "w_g1": 1,
    "aux_g1": 1,
    "private_g1": 1,
    "quotient_g1": 1,
}
_ROWS: Final[dict[int, Callable[[Any], NDArray[np.uint64]]]] = {1: g1_rows, 2: g2_rows}


class PreparedKey(ProvingKey):
    """A key that passed `check_proving_key`, here or in an earlier process.

    The arrays of points that a proof sums are rows of the kernels in use (`pvcnn.algebra.batches`), so
    it is this process's own: it has no encoding, ValueError, and is not to be pickled, TypeError. All else
    is as in the proving key.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a prepared key belongs to one process: open the proving key in the other one")

    def _arrays(self) -> dict[str, NDArray[Any]]:
        raise ValueError("a prepared key has no encoding: the proving key it was made from has")


def open_proving_key(path: Path, digest: bytes, cache_directory: Path | None) -> PreparedKey:
    """The key in the file at `path`, checked and in the layout of the kernels in use.

    digest: SHA-256 of that file, which the caller has just computed. cache_directory: where the prepared
    key is kept, or None. One that is missing, damaged or of another key is made again, and where none can
    be written, the key is prepared in memory.

    Raises CampaignError if there is no such key, DecodeError if it is malformed, and VerificationError
    if it fails `check_proving_key`.
    """
    layout = _layout(digest)
    cache = cache_directory and prepared_path(cache_directory)
    if cache:
        with suppress(OSError, DecodeError):
            return _mapped(path, layout, cache)
    key = ProvingKey.load(path)
    check_proving_key(key)
    rows = {name: _ROWS[_DEGREES[name]](getattr(key, name)) for name in layout.columns}
    if cache:
        with suppress(OSError, CampaignError):
            # Of processes that prepare it at the same time, all map the first one's: it is in memory once.
            write_once(cache, layout.chunks(rows), _MODE)
            with suppress(DecodeError):
                return _mapped(path, layout, cache)
            write_atomically(cache, layout.chunks(rows), _MODE)
            with suppress(DecodeError):
                return _mapped(path, layout, cache)
    return PreparedKey.from_arrays(LAYOUT.load(path) | rows)


def prepared_path(directory: Path) -> Path:
    """The file in `directory` for the kernels in use: machines that share it may have different ones."""
    return directory / f"prepared_key-{backend().layout}.safetensors"


def _layout(digest: bytes) -> Layout:
    """The format for the kernels in use: without arrays where their rows are the proving key's own."""
    words = {name: backend().row_words(degree) for name, degree in _DEGREES.items()}
    columns = {
        name: Column("U64", words[name])
        for name, degree in _DEGREES.items()
        if words[name] != VECTOR_WORDS * degree
    }
    return Layout(FORMAT, VERSION, columns, {"kernels": backend().layout, "proving_key": digest.hex()})


def _mapped(path: Path, layout: Layout, cache: Path) -> PreparedKey:
    """Raises OSError if there is no prepared key, and DecodeError if it is not of this key and whole."""
    given, rows = LAYOUT.load(path), layout.load(cache)
    if any(len(rows[name]) != len(given[name]) for name in rows):
        raise DecodeError(f"{FORMAT}: the numbers of points are not those of the proving key")
    return PreparedKey.from_arrays(given | rows)
