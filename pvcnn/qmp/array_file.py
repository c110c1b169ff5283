"""Large arrays in a safetensors file, in one encoding only, mapped into memory when read.

A file is the length of the header (8 bytes, little-endian), the header (JSON, padded with spaces so
that the data starts at a multiple of 64), and the arrays one after another. Any safetensors reader
understands it. Reading demands that the header is, byte for byte, the one that writing makes of the
same numbers of rows, so nothing in it can be ambiguous, overlapping or hidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DecodeError

ALIGNMENT = 64
MAX_HEADER_BYTES = 1 << 16
MAX_ROWS = 1 << 31
_LENGTH_BYTES = 8
_DTYPES: dict[str, np.dtype[Any]] = {"U64": np.dtype("<u8"), "I32": np.dtype("<i4"), "U8": np.dtype("u1")}


@dataclass(frozen=True)
class Column:
    """One array of a format: its safetensors dtype and the width of a row (0: a vector)."""

    dtype: str
    width: int = 0

    @property
    def row_bytes(self) -> int:
        return int(_DTYPES[self.dtype].itemsize) * max(self.width, 1)

    def shape(self, rows: int) -> tuple[int, ...]:
        return (rows, self.width) if self.width else (rows,)


@dataclass(frozen=True)
class Layout:
    """A format's name, version and arrays in file order, widest alignment first.

    metadata: what else the header says, the same in every file that is accepted.
    """

    format_name: str
    version: int
    columns: Mapping[str, Column]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def header(self, rows: Mapping[str, int]) -> bytes:
        """The length prefix and the padded header of arrays with so many rows."""
        named = {"format": self.format_name, "version": str(self.version), **self.metadata}
        body: dict[str, Any] = {"__metadata__": named}
        end = 0
        for name, column in self.columns.items():
            start, end = end, end + rows[name] * column.row_bytes
            shape = list(column.shape(rows[name]))
            body[name] = {"dtype": column.dtype, "shape": shape, "data_offsets": [start, end]}
        text = json.dumps(body, separators=(",", ":")).encode()
        text += b" " * (-(_LENGTH_BYTES + len(text)) % ALIGNMENT)
        return len(text).to_bytes(_LENGTH_BYTES, "little") + text

    def chunks(self, arrays: Mapping[str, NDArray[Any]]) -> Iterator[bytes | memoryview]:
        """The encoding, in pieces. Raises ValueError for an array of another type or width."""
        for name, column in self.columns.items():
            array = arrays[name]
            if array.dtype != _DTYPES[column.dtype] or array.shape != column.shape(len(array)):
                raise ValueError(f"{self.format_name}: array {name!r} has the wrong type or shape")
        yield self.header({name: len(arrays[name]) for name in self.columns})
        for name in self.columns:
            if arrays[name].size:
                yield np.ascontiguousarray(arrays[name]).data.cast("B")

    def parse(self, buffer: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Read-only views of the arrays in `buffer`, which must be the whole file.

        Raises DecodeError for anything but what `chunks` gives. No memory is allocated on the word
        of the header.
        """
        head = buffer[:_LENGTH_BYTES].tobytes()
        length = int.from_bytes(head, "little")
        if len(head) < _LENGTH_BYTES or not 0 < length <= min(MAX_HEADER_BYTES, len(buffer)):
            raise DecodeError(f"{self.format_name}: not a file of this format")
        header = buffer[: _LENGTH_BYTES + length].tobytes()
        rows = self._rows(header[_LENGTH_BYTES:])
        if self.header(rows) != header:
            raise DecodeError(f"{self.format_name}: the header is not canonical")
        size = len(header) + sum(rows[name] * column.row_bytes for name, column in self.columns.items())
        if len(buffer) != size:
            raise DecodeError(f"{self.format_name}: {len(buffer)} bytes, the header says {size}")
        arrays = {}
        offset = len(header)
        for name, column in self.columns.items():
            end = offset + rows[name] * column.row_bytes
            array = buffer[offset:end].view(_DTYPES[column.dtype]).reshape(column.shape(rows[name]))
            array.flags.writeable = False
            arrays[name] = array
            offset = end
        return arrays

    def load(self, path: Path) -> dict[str, NDArray[Any]]:
        """As `parse`, of a file that is mapped into memory: arrays are read when they are first used.

        Raises OSError if it cannot be read and DecodeError if it is malformed.
        """
        if path.stat().st_size == 0:
            raise DecodeError(f"{self.format_name}: the file is empty")
        return self.parse(np.memmap(path, np.uint8, mode="r").view(np.ndarray))

    def _rows(self, text: bytes) -> dict[str, int]:
        """The number of rows of each array, as the header says."""
        # An honest header opens three brackets an array and two more. Nested ones without end would
        # overflow the C stack of the JSON reader wherever somebody has raised the recursion limit.
        if text.count(b"[") + text.count(b"{") > 3 * len(self.columns) + 2:
            raise DecodeError(f"{self.format_name}: the header is nested too deeply")
        try:
            body = json.loads(text)
            rows = {name: body[name]["shape"][0] for name in self.columns}
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise DecodeError(f"{self.format_name}: not a header of this format") from error
        if any(type(count) is not int or not 0 <= count < MAX_ROWS for count in rows.values()):
            raise DecodeError(f"{self.format_name}: an array has an impossible number of rows")
        return rows
