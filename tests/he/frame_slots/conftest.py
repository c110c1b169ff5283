"""One set of keys for all tests of a small batch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.he.frame_slots.roles import SEED, BatchRoles, random_frames
from tests.he.parts import small_part

#: So many that frames are cut into tiles and slots stay empty.
FRAMES = 5


@pytest.fixture(scope="session")
def batch() -> BatchRoles:
    return BatchRoles.of(small_part(), FRAMES)


@pytest.fixture(scope="session")
def frames(batch: BatchRoles) -> NDArray[np.float64]:
    return random_frames(batch.plan)


@pytest.fixture(scope="session")
def upload(batch: BatchRoles, frames: NDArray[np.float64]) -> list[bytes]:
    return list(batch.encryptor.rows(frames))


@pytest.fixture(scope="session")
def answer(batch: BatchRoles, upload: list[bytes]) -> list[bytes]:
    return list(batch.evaluator.rows(upload, SEED))
