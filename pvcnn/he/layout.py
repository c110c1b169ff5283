"""Where the entries of a tensor lie in the slots of ciphertexts.

Entry (c, i, j) lies in slot channels[c].slot + rows[i] + columns[j], counted cyclically: an axis does not
depend on the others. That is enough for rows one behind the other, for several channels in the gaps
that pooling or strides leave (multiplexed packing, Lee et al., ICML 2022), and for frames taken apart such
that the entries of a pooling window lie in the highest bits of the slot number: the sum over a window is
then a sum over all rotations by some power of two, and comes out once in every block ("copies").

Slots are complex: two channels share one, as real and imaginary part.

Rotating by a step moves the value of slot i + step to slot i, cyclically over all slots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]


class Place(NamedTuple):
    """Of a channel: the ciphertext, 0 for the real and 1 for the imaginary part, and the first slot."""

    ciphertext: int
    part: int
    slot: int


@dataclass(frozen=True)
class Layout:
    """`copies`: offsets, 0 among them, at which all entries are found. Other slots hold anything."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    channels: tuple[Place, ...]
    copies: tuple[int, ...] = (0,)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.channels), len(self.rows), len(self.columns)

    @property
    def ciphertexts(self) -> int:
        return 1 + max(place.ciphertext for place in self.channels)

    @property
    def is_complex(self) -> bool:
        """Whether imaginary parts hold channels."""
        return any(place.part for place in self.channels)

    def area(self) -> Slots:
        """(rows, columns) slots of a channel, from its first one."""
        found: Slots = np.add.outer(np.array(self.rows, np.int64), np.array(self.columns, np.int64))
        return found

    def slots(self, slot_count: int) -> Slots:
        """(channels, rows, columns) slot numbers."""
        first = np.array([place.slot for place in self.channels], np.int64)
        found: Slots = (first[:, None, None] + self.area()) % slot_count
        return found

    def is_valid(self, slot_count: int) -> bool:
        """Whether no two entries share a place, copies included."""
        slots, copies = self.slots(slot_count), np.array(self.copies)
        holders = np.array([2 * place.ciphertext + place.part for place in self.channels])
        places = holders[:, None, None, None] * slot_count + (slots[..., None] + copies) % slot_count
        return bool(len(np.unique(places)) == places.size)

    def scatter(self, tensor: NDArray[np.float64], slot_count: int) -> NDArray[np.complex128]:
        """(ciphertexts, slot_count): the entries in all their places, zero elsewhere."""
        spread = np.zeros((self.ciphertexts, slot_count), np.complex128)
        for place, slots, channel in zip(self.channels, self.slots(slot_count), tensor, strict=True):
            for copy in self.copies:
                spread[place.ciphertext, (slots + copy) % slot_count] += channel * (1j if place.part else 1)
        return spread

    def gather(self, spread: NDArray[np.complex128]) -> NDArray[np.float64]:
        """(channels, rows, columns) of (ciphertexts, slot_count) decrypted slots."""
        found = [
            (spread[place.ciphertext].imag if place.part else spread[place.ciphertext].real)[slots]
            for place, slots in zip(self.channels, self.slots(spread.shape[1]), strict=True)
        ]
        return np.stack(found)

    def merged(self) -> Layout:
        """After ciphertext 2k + 1, times i, has been added to ciphertext 2k."""
        places = (Place(place.ciphertext // 2, place.ciphertext % 2, place.slot) for place in self.channels)
        return replace(self, channels=tuple(places))


def stabiliser(offsets: Slots, slot_count: int) -> tuple[int, ...]:
    """The rotations that map a set of offsets, 0 among them, to itself.

    They are the copies of a sum over all rotations by `offsets`.
    """
    members = np.unique(offsets % slot_count)
    found = [
        int(step) for step in members if np.array_equal(np.unique((members + step) % slot_count), members)
    ]
    return tuple(found)


def combined(copies: tuple[int, ...], more: tuple[int, ...], slot_count: int) -> tuple[int, ...]:
    """All sums of two offsets."""
    return tuple(sorted({(a + b) % slot_count for a in copies for b in more}))
