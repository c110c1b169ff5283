"""Functions of one integer, given by their values: what a Requantise layer applies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_TABLE = 1 << 16
#: Bound on the magnitude of what a table maps to, and of where its domain lies.
TABLE_LIMIT = 1 << 31


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one integer: q in [low, high] maps to values[q - low]. `values` becomes read-only."""

    low: int
    values: NDArray[np.int64]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.int64)
        if values.ndim != 1 or not 1 <= len(values) <= MAX_TABLE:
            raise ValueError(f"a table holds 1 to {MAX_TABLE} values in one dimension")
        if not -TABLE_LIMIT <= self.low <= self.low + len(values) <= TABLE_LIMIT:
            raise ValueError("a table's domain must lie within 32 bits")
        if values.min() < -TABLE_LIMIT or values.max() >= TABLE_LIMIT:
            raise ValueError("a table's values must lie within 32 bits")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @property
    def high(self) -> int:
        """The last q that the table maps."""
        return self.low + len(self.values) - 1

    def key(self) -> tuple[int, bytes]:
        """Equal for equal functions; layers with equal tables share one lookup argument."""
        return int(self.low), self.values.astype("<i4").tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())
