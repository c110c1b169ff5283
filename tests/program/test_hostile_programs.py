"""Programs of a few hundred bytes that would take gigabytes or hours if decoding them were careless."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from pvcnn.errors import DecodeError
from pvcnn.program.program import Program
from pvcnn.program.windows import Windows

_ROOM = 1 << 29


@pytest.fixture
def bounded() -> Iterator[None]:
    """Half a gigabyte of address space more than is in use, so that a careless decoder fails and no more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def encoded(shape: list[int], nodes: list[dict[str, Any]]) -> bytes:
    body = {"input_shape": shape, "input_low": -(1 << 30), "input_high": 1 << 30, "nodes": nodes}
    return cbor2.dumps({"format": "pvcnn-program", "version": 2, **body}, canonical=True)


@pytest.mark.usefixtures("bounded")
def test_squares_of_squares_are_refused_at_once() -> None:
    """Bounds double their bits with each: after 40 they would have 2^45."""
    nodes = [{"kind": "hadamard", "name": f"h{i}", "inputs": [i, i]} for i in range(40)]
    nodes.append({"kind": "logits", "name": "logits", "inputs": [40]})
    start = time.perf_counter()
    with pytest.raises(DecodeError, match="h0: values may need more than 60 bits"):
        Program.from_bytes(encoded([1], nodes))
    assert time.perf_counter() - start < 5


@pytest.mark.usefixtures("bounded")
def test_long_columns_under_long_windows_take_little() -> None:
    """2^20 windows of 255 rows: all pairs of them would take 2 GB."""
    pool = {"kernel": [255, 1], "stride": [1, 1], "padding": [127, 127, 0, 0], "dilation": [1, 1]}
    nodes: list[dict[str, Any]] = [
        {"kind": "max-pool", "name": f"pool{i}", "inputs": [i], **pool} for i in range(50)
    ]
    nodes += [
        {"kind": "flatten", "name": "flatten", "inputs": [50]},
        {"kind": "logits", "name": "logits", "inputs": [51]},
    ]
    start = time.perf_counter()
    assert Program.from_bytes(encoded([1, 1 << 20, 1], nodes)).shapes[-1] == (1 << 20,)
    assert time.perf_counter() - start < 5


def test_bare_padding_is_what_the_windows_say() -> None:
    rng = random.Random(17)
    found = {True: 0, False: 0}
    for _ in range(4000):
        kernel, stride, dilation, side = (rng.randint(1, 6) for _ in range(4))
        before, after = rng.randint(0, 9), rng.randint(0, 9)
        for axis in (0, 1):
            pair, padding = (1, 1), (0, 0)
            along = [pair, pair, pair]
            for i, number in enumerate((kernel, stride, dilation)):
                along[i] = (number, 1) if axis == 0 else (1, number)
            sides = (before, after, *padding) if axis == 0 else (*padding, before, after)
            windows = Windows(along[0], along[1], sides, along[2])
            outputs = windows.outputs(side, side)[axis]
            if outputs >= 1:
                bare = bool((windows.met(axis, outputs, side) < 0).all(axis=1).any())
                assert windows.has_bare_padding(axis, outputs, side) == bare
                found[bare] += 1
    assert min(found.values()) > 500
