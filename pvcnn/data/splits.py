"""Who is trained on, who chooses the threshold and who is tested on: by person, never by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pvcnn.data.faces import PEOPLE

#: People to train on and to validate on; the rest are tested on.
TRAIN, VALIDATION = 28, 4
#: The split of the shipped weights. It was fixed before anything was trained.
SPLIT_SEED = 2201


@dataclass(frozen=True)
class Split:
    """Three disjoint groups of people (0..39), each in ascending order."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def split_people(seed: int = SPLIT_SEED) -> Split:
    """28 people to train on, 4 to validate on, 8 to test on; the same for the same seed."""
    order = [int(person) for person in np.random.default_rng(seed).permutation(PEOPLE)]
    return Split(
        train=tuple(sorted(order[:TRAIN])),
        validation=tuple(sorted(order[TRAIN : TRAIN + VALIDATION])),
        test=tuple(sorted(order[TRAIN + VALIDATION :])),
    )
