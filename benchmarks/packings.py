"""Ways to lay frames in slots: a table in docs/packings.md.

    python benchmarks/packings.py [--frames 16 256 1000] [--processes 2] [--json] [--write]

One block (eight 3x3 filters, square, 4x4 average pooling) of random weights on random 64x64 frames: frames
one at a time, with rotations; batches, with frames or tiles of frames in slots; and TenSEAL's own
convolution, `conv2d_im2col`, on an 18x18 tile: no degree has the slots for the windows of a whole frame.
Wall time, with everything that a role does to bytes; for batches keys are opened, and processes started,
within it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tenseal
from numpy.typing import NDArray

from pvcnn.bench.documents import markdown_table, measured_here, replace_measured
from pvcnn.he.decryption import decrypt_features
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.frame_slots.decryption import BatchDecryptor
from pvcnn.he.frame_slots.parameters import plan as plan_batch
from pvcnn.he.frame_slots.processes import ParallelEvaluator, encrypt_batch
from pvcnn.he.frame_slots.rows import RowFile, framed, pixel_rows, row_bytes
from pvcnn.he.keys import generate
from pvcnn.he.parameters import plan
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivatePart,
    Square,
    private_evaluate,
)

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "packings.md"
FRAMES = (16, 256, 1000)
SINGLE_FRAMES = 5
#: Smaller batches are done sooner than processes have started.
FRAMES_FOR_PROCESSES = 100

#: A tile of 16x16 and the pixels around it, of which a 64x64 frame has sixteen.
TILE = 18
TILES = 16
_MILLION = 1e6


@dataclass(frozen=True)
class Row:
    """Milliseconds and bytes a frame; keys in bytes; the largest error in feature steps, if flooded."""

    layout: str
    frames: int
    processes: int
    degree: int
    encrypt: float
    evaluate: float
    decrypt: float
    upload: float
    download: float
    keys: int
    error: float


def random_block(frames: int) -> tuple[PrivatePart, NDArray[np.float64]]:
    """The block, on frames of mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    filters = PrivateConvolution("filters", rng.normal(0, 0.3, (8, 1, 3, 3)), rng.normal(0, 0.1, 8))
    layers = (filters, Square("square"), PrivateAveragePool.disjoint("pooling", 4))
    pixels = np.clip(rng.normal(0, 1, (frames, 1, 64, 64)), -4, 4)
    return PrivatePart((1, 64, 64), 4.0, layers, 2.0**-9, (8, 16, 16)), pixels


def rotations() -> Row:
    """One frame after the other on one process."""
    private, frames = random_block(SINGLE_FRAMES)
    chosen = plan(private)
    secret, public, evaluation = generate(chosen)
    evaluator = Evaluator(chosen, public, evaluation, private)
    times, errors = [], []
    for frame, expected in zip(frames, private_evaluate(private, frames), strict=True):
        marks = [time.perf_counter()]
        upload = encrypt_frame(chosen, public, frame)
        marks.append(time.perf_counter())
        answer = evaluator.evaluate(upload, secrets.token_bytes(32))
        marks.append(time.perf_counter())
        features = decrypt_features(chosen, secret, answer)
        marks.append(time.perf_counter())
        times.append(1e3 * np.diff(marks))
        errors.append(float(np.abs(features - expected).max()))
    encrypt, evaluate, decrypt = (statistics.median(step) for step in zip(*times, strict=True))
    keys = len(public.to_bytes(chosen)) + len(evaluation.to_bytes(chosen))
    error = max(errors) / private.feature_step
    return Row("rotations, frame by frame", 1, 1, chosen.degree, encrypt, evaluate, decrypt,
               len(upload), len(answer), keys, error)  # fmt: skip


def frames_in_slots(count: int, processes: int) -> Row:
    """A batch through a file, on several processes; these start within the times."""
    private, frames = random_block(count)
    chosen = plan_batch(private, count)
    secret, public, evaluation = generate(chosen)
    with tempfile.TemporaryDirectory() as folder:
        path, marks = Path(folder) / "batch", [time.perf_counter()]
        with path.open("wb") as file:
            for part in framed(encrypt_batch(chosen, public, frames, processes)):
                file.write(part)
        marks.append(time.perf_counter())
        content = pixel_rows(chosen)
        rows = RowFile(path, content, row_bytes(chosen, content))
        evaluator = ParallelEvaluator(chosen, public, evaluation, private, processes)
        answer = list(evaluator.rows(rows, secrets.token_bytes(32)))
        marks.append(time.perf_counter())
        upload = path.stat().st_size
    features = BatchDecryptor(chosen, secret).features(answer)
    marks.append(time.perf_counter())
    encrypt, evaluate, decrypt = 1e3 * np.diff(marks) / count
    keys = len(public.to_bytes(chosen)) + len(evaluation.to_bytes(chosen))
    error = float(np.abs(features - private_evaluate(private, frames)).max()) / private.feature_step
    tiles = chosen.tiling.rows * chosen.tiling.columns
    layout = "frames in slots" if tiles == 1 else f"frames in slots, {tiles} tiles each"
    return Row(layout, count, processes, chosen.degree, encrypt, evaluate, decrypt,
               upload / count, sum(map(len, answer)) / count, keys, error)  # fmt: skip


def tenseal_im2col() -> Row:
    """Convolution and square of one tile, times sixteen; pooling and everything that hides are not there."""
    private, frames = random_block(1)
    filters = private.layers[0]
    assert isinstance(filters, PrivateConvolution)
    tile = frames[0, 0, :TILE, :TILE]
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2**40
    context.generate_galois_keys()
    keys = len(context.serialize(save_secret_key=False))
    marks = [time.perf_counter()]
    encoded, windows = tenseal.im2col_encoding(context, tile.tolist(), 3, 3, 1)
    marks.append(time.perf_counter())
    kernels = zip(filters.weight[:, 0], filters.bias, strict=True)
    made = [encoded.conv2d_im2col(k.tolist(), windows) + float(b) for k, b in kernels]
    for channel in made:
        channel.square_()
    marks.append(time.perf_counter())
    answers = [np.array(channel.decrypt()[:windows]) for channel in made]
    marks.append(time.perf_counter())
    squares = _squares(filters, tile)
    encode, evaluate, decrypt = TILES * 1e3 * np.diff(marks)
    upload, download = len(encoded.serialize()), sum(len(channel.serialize()) for channel in made)
    error = max(float(np.abs(a - s).max()) for a, s in zip(answers, squares, strict=True))
    error /= private.feature_step
    return Row("TenSEAL im2col, 16 tiles of 18x18, neither pooled nor hidden", 1, 1, 8192,
               encode, evaluate, decrypt, TILES * upload, TILES * download, keys, error)  # fmt: skip


def _squares(filters: PrivateConvolution, tile: np.ndarray) -> Iterator[np.ndarray]:
    windows = np.lib.stride_tricks.sliding_window_view(tile, (3, 3))
    for kernel, bias in zip(filters.weight[:, 0], filters.bias, strict=True):
        yield ((windows * kernel).sum((2, 3)) + bias).ravel() ** 2


def table(rows: list[Row]) -> str:
    columns = (
        *("layout", "frames", "processes", "encrypt", "evaluate", "decrypt"),
        *("up", "down", "keys", "error"),
    )
    lines = (
        (
            row.layout,
            str(row.frames),
            str(row.processes),
            f"{row.encrypt:.1f} ms",
            f"{row.evaluate:.1f} ms",
            f"{row.decrypt:.2f} ms",
            f"{row.upload / 1e3:.0f} kB",
            f"{row.download / 1e3:.0f} kB",
            f"{row.keys / _MILLION:.1f} MB",
            f"{row.error:.2g}",
        )
        for row in rows
    )
    return markdown_table(columns, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=FRAMES, help="batches' sizes")
    parser.add_argument("--processes", type=int, default=2, help="for batches of 100 and more")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--write", action="store_true", help="update the document")
    options = parser.parse_args()
    frames_in_slots(1, 1)  # compiles the kernels
    batches = [
        frames_in_slots(count, options.processes if count >= FRAMES_FOR_PROCESSES else 1)
        for count in options.frames
    ]
    rows = [rotations(), *batches, tenseal_im2col()]
    print(table(rows), file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    if options.write:
        replace_measured(DOCUMENT, "benchmarks/packings.py", f"{measured_here()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
