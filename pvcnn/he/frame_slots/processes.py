"""Batches on several processes: SEAL holds the interpreter lock, so threads would take turns.

Every process opens keys and plan once. Rows are independent of each other but for the few that windows share,
so a tester's processes take rows one by one, and an owner's a band of the answer each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.encryption import BatchEncryptor, check_frames
from pvcnn.he.frame_slots.evaluation import BatchEvaluator
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import feature_rows, pixel_rows
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.program.private import PrivatePart

#: Makes the messages of some rows.
_RowMaker = Callable[[Sequence[int]], list[bytes]]

_maker: _RowMaker


def encrypt_batch(
    plan: FrameSlotsPlan, public_key: PublicKey, frames: NDArray[np.float64], processes: int
) -> Iterator[bytes]:
    """`BatchEncryptor.rows`, the same messages in the same order."""
    check_frames(plan, frames)
    tasks = [[row] for row in range(pixel_rows(plan).rows)]
    return _spread(partial(_encrypting, plan, public_key, frames), tasks, processes)


def evaluate_batch(
    plan: FrameSlotsPlan,
    public_key: PublicKey,
    evaluation_keys: EvaluationKeys,
    private: PrivatePart,
    upload: Sequence[bytes],
    processes: int,
) -> Iterator[bytes]:
    """`BatchEvaluator.rows`, the same messages in the same order.

    `upload` goes to every process: a `RowFile` does so in a few bytes, a list as a copy.
    """
    rows = feature_rows(plan).rows
    tasks = [band.tolist() for band in np.array_split(np.arange(rows), min(processes, rows))]
    opened = partial(_evaluating, plan, public_key, evaluation_keys, private, upload)
    return _spread(opened, tasks, processes)


def _encrypting(plan: FrameSlotsPlan, public_key: PublicKey, frames: NDArray[np.float64]) -> _RowMaker:
    encryptor = BatchEncryptor(plan, public_key)
    return lambda rows: list(encryptor.rows(frames, rows))


def _evaluating(
    plan: FrameSlotsPlan,
    public_key: PublicKey,
    evaluation_keys: EvaluationKeys,
    private: PrivatePart,
    upload: Sequence[bytes],
) -> _RowMaker:
    evaluator = BatchEvaluator(plan, public_key, evaluation_keys, private)
    return lambda rows: list(evaluator.rows(upload, rows))


def _spread(
    opened: Callable[[], _RowMaker], tasks: Iterable[Sequence[int]], processes: int
) -> Iterator[bytes]:
    if processes == 1:
        make = opened()
        for task in tasks:
            yield from make(task)
        return
    # Spawned, not forked: a process of many threads cannot be forked safely.
    with ProcessPoolExecutor(processes, get_context("spawn"), _open, (opened,)) as pool:
        for messages in pool.map(_make, tasks):
            yield from messages


def _open(opened: Callable[[], Any]) -> None:
    global _maker
    _maker = opened()


def _make(rows: Sequence[int]) -> list[bytes]:
    return _maker(rows)
