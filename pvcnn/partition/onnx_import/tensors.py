"""Constants of an ONNX file as arrays: bounded before anything is allocated, external files included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pvcnn.errors import DecodeError

MAX_RANK = 8
#: Numbers of one tensor, and of all those together that a model uses: 1 GiB of float64.
MAX_ENTRIES = 1 << 27
#: Digits of the offset and length of external data.
_MAX_DIGITS = 18

#: By element type: how raw bytes hold it, and the field that holds it otherwise.
_TYPES: dict[int, tuple[str, str]] = {
    TensorProto.FLOAT: ("<f4", "float_data"),
    TensorProto.DOUBLE: ("<f8", "double_data"),
    TensorProto.FLOAT16: ("<f2", "int32_data"),
    TensorProto.INT32: ("<i4", "int32_data"),
    TensorProto.INT64: ("<i8", "int64_data"),
    TensorProto.BOOL: ("|b1", "int32_data"),
}


@dataclass
class TensorReader:
    """Decodes tensors of the model that lies in `folder`, at most MAX_ENTRIES numbers in all."""

    folder: Path
    entries_left: int = MAX_ENTRIES

    def read(self, tensor: TensorProto, what: str) -> NDArray[np.generic]:
        """Floats as float64, integers as int64, booleans as such. Raises DecodeError, naming `what`."""
        dims = tuple(tensor.dims)
        if tensor.data_type not in _TYPES:
            raise DecodeError(
                f"{what}: element type {_type_name(tensor.data_type)} is not supported; "
                "use float, double, float16, int64 or int32"
            )
        if len(dims) > MAX_RANK or not all(0 <= side <= MAX_ENTRIES for side in dims):
            raise DecodeError(f"{what}: has {len(dims)} dimensions or a side that is out of range")
        entries = math.prod(dims)
        if entries > self.entries_left:
            raise DecodeError(f"{what}: the model uses more than {MAX_ENTRIES} numbers")
        self.entries_left -= entries
        values = self._values(tensor, entries, what).reshape(dims)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DecodeError(f"{what}: a number is not finite")
        return values

    def _values(self, tensor: TensorProto, entries: int, what: str) -> NDArray[np.generic]:
        """(entries,)"""
        dtype, name = _TYPES[tensor.data_type]
        size = np.dtype(dtype).itemsize
        if tensor.data_location == TensorProto.EXTERNAL:
            stored = np.frombuffer(self._external(tensor, size * entries, what), dtype)
        elif tensor.HasField("raw_data"):
            if len(tensor.raw_data) != size * entries:
                raise DecodeError(f"{what}: has {len(tensor.raw_data)} bytes, not those of {entries} numbers")
            stored = np.frombuffer(tensor.raw_data, dtype)
        else:
            listed = getattr(tensor, name)
            if len(listed) != entries:
                raise DecodeError(f"{what}: has {len(listed)} numbers, not {entries}")
            stored = _from_list(np.array(listed), np.dtype(dtype))
        kind = stored.dtype.kind
        return stored.astype(np.float64 if kind == "f" else np.int64 if kind == "i" else np.bool_)

    def _external(self, tensor: TensorProto, size: int, what: str) -> bytes:
        """`size` bytes of a file in the model's folder."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._path(entries.get("location", ""), what)
        offset, length = (_number(entries.get(key, default), what) for key, default in _PLACE)
        if length not in (0, size):
            raise DecodeError(f"{what}: external data has {length} bytes, not {size}")
        try:
            if path.stat().st_size < offset + size:
                raise DecodeError(f"{what}: {path.name} ends before byte {offset + size}")
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise DecodeError(f"{what}: cannot read {path.name}: {error.strerror}") from error

    def _path(self, location: object, what: str) -> Path:
        """A file in the model's folder, links that lead out of it refused."""
        refused = DecodeError(
            f"{what}: external data must be a file in the model's own folder, named by a relative path"
        )
        if not isinstance(location, str) or not location or not location.isprintable() or "\\" in location:
            raise refused
        named = PurePosixPath(location)
        if named.is_absolute() or ".." in named.parts:
            raise refused
        try:
            folder = self.folder.resolve(strict=True)
            path = (folder / named).resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise DecodeError(f"{what}: cannot find its external data") from error
        if not path.is_relative_to(folder) or not path.is_file():
            raise refused
        return path


#: Where external data begins and how long it is; without a length it is as long as the tensor.
_PLACE = (("offset", "0"), ("length", "0"))


def _from_list(listed: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Numbers of the field in which ONNX lists them; halves are listed as the integers of their bits."""
    if dtype == np.float16:
        return listed.astype(np.uint16).view(np.float16)
    return listed.astype(dtype)


def _number(text: object, what: str) -> int:
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise DecodeError(f"{what}: external data begins or ends at no number of bytes")
    return int(text)


def _type_name(number: int) -> str:
    names: dict[int, str] = {code: name for name, code in TensorProto.DataType.items()}
    return names.get(number, str(number))
