"""Batches on several processes: SEAL holds the interpreter lock, so threads would take turns.

Every process opens keys and plan once. Rows are independent of each other but for the few that windows share,
so a tester's processes take rows one by one, and an owner's bands of the answer. No more tasks are begun than
are about to be fetched: what is done and not fetched yet is a few rows, however large the batch.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.encryption import BatchEncryptor, check_frames
from pvcnn.he.frame_slots.evaluation import BatchEvaluator
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import feature_rows, pixel_rows
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.program.private import PrivatePart

#: Rows of an answer that a process makes before it hands them over: it reads those around them again.
_BAND: Final = 4
#: Batches of fewer ciphertexts are done before processes have started.
_CIPHERTEXTS_FOR_PROCESSES: Final = 512

#: Makes the messages of some rows.
_RowMaker = Callable[[Sequence[int]], list[bytes]]

_maker: _RowMaker


def worthwhile_processes(plan: FrameSlotsPlan) -> int:
    """As many as there are processors, or one for a batch that is small."""
    return 1 if plan.tiling.ciphertexts < _CIPHERTEXTS_FOR_PROCESSES else os.cpu_count() or 1


def encrypt_batch(
    plan: FrameSlotsPlan, public_key: PublicKey, frames: NDArray[np.float64], processes: int
) -> Iterator[bytes]:
    """`BatchEncryptor.rows`, the same messages in the same order."""
    check_frames(plan, frames)
    tasks = [[row] for row in range(pixel_rows(plan).rows)]
    return _spread(partial(_encrypting, plan, public_key, frames), tasks, processes)


class ParallelEvaluator:
    """`BatchEvaluator`, the same messages in the same order, on several processes."""

    def __init__(
        self,
        plan: FrameSlotsPlan,
        public_key: PublicKey,
        evaluation_keys: EvaluationKeys,
        private: PrivatePart,
        processes: int = 1,
    ) -> None:
        """Raises ParameterError if the plan is not the one of this private part."""
        self.plan = plan
        self.processes = processes
        self._keys = public_key, evaluation_keys
        self._private = private
        self._here = BatchEvaluator(plan, public_key, evaluation_keys, private)

    def rows(
        self, upload: Sequence[bytes], seed: bytes, places: Collection[int] | None = None
    ) -> Iterator[bytes]:
        """`BatchEvaluator.rows`. `upload` is pickled for every process: it had better be a file's."""
        if self.processes == 1:
            return self._here.rows(upload, seed, places)
        rows = feature_rows(self.plan).rows
        bands = max(min(self.processes, rows), -(-rows // _BAND))
        tasks = [band.tolist() for band in np.array_split(np.arange(rows), bands)]
        opened = partial(_evaluating, self.plan, *self._keys, self._private, upload, seed, places)
        return _spread(opened, tasks, self.processes)


def _encrypting(plan: FrameSlotsPlan, public_key: PublicKey, frames: NDArray[np.float64]) -> _RowMaker:
    encryptor = BatchEncryptor(plan, public_key)
    return lambda rows: list(encryptor.rows(frames, rows))


def _evaluating(
    plan: FrameSlotsPlan,
    public_key: PublicKey,
    evaluation_keys: EvaluationKeys,
    private: PrivatePart,
    upload: Sequence[bytes],
    seed: bytes,
    places: Collection[int] | None,
) -> _RowMaker:
    evaluator = BatchEvaluator(plan, public_key, evaluation_keys, private)
    return lambda rows: list(evaluator.rows(upload, seed, places, rows))


def _spread(
    opened: Callable[[], _RowMaker], tasks: Iterable[Sequence[int]], processes: int
) -> Iterator[bytes]:
    if processes == 1:
        make = opened()
        for task in tasks:
            yield from make(task)
        return
    # Spawned, not forked: a process of many threads cannot be forked safely.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _open, (opened,))
    try:
        begun: deque[Future[list[bytes]]] = deque()
        for task in tasks:
            begun.append(pool.submit(_make, task))
            if len(begun) > processes:
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _open(opened: Callable[[], Any]) -> None:
    global _maker
    _maker = opened()


def _make(rows: Sequence[int]) -> list[bytes]:
    return _maker(rows)
