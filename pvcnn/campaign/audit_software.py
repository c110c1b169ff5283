"""Which software made an answer: another one may round otherwise, and that is no lie."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import numpy as np

from pvcnn.campaign.signed import printable
from pvcnn.encoding import Fields

_MAX_TEXT = 64


@dataclass(frozen=True)
class Software:
    """What the bits of an encrypted evaluation may depend on, besides its inputs."""

    pvcnn: str
    tenseal: str
    numpy: str
    processor: str
    library: str

    @classmethod
    def here(cls) -> Self:
        """Of this process: versions, the processor's architecture and features, and the C library."""
        return cls(
            pvcnn=_version("pvcnn"),
            tenseal=_version("tenseal"),
            numpy=_version("numpy"),
            processor=_processor(),
            library=" ".join(platform.libc_ver())[:_MAX_TEXT],
        )

    def to_fields(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fields(cls, taken: Fields) -> Self:
        found = cls(*(printable(taken, each.name, _MAX_TEXT) for each in fields(cls)))
        taken.finish()
        return found

    def __str__(self) -> str:
        versions = f"pvcnn {self.pvcnn}, TenSEAL {self.tenseal}, NumPy {self.numpy}"
        return f"{versions}, {self.processor}, {self.library}"


def _processor() -> str:
    """With the last of the features for which NumPy has loops of their own, which may round otherwise."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return " ".join([platform.machine(), *found[-1:]])[:_MAX_TEXT]


def _version(package: str) -> str:
    try:
        return version(package)[:_MAX_TEXT]
    except PackageNotFoundError:
        return "none"
