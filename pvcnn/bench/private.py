"""Private parts on ciphertexts: times of one thread, sizes, errors; packed against a ciphertext a channel."""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.answer_randomness import SEED_BYTES
from pvcnn.he.decryption import decrypt_features
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey, generate
from pvcnn.he.parameters import Design, design
from pvcnn.he.report import report_of
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    Square,
    private_evaluate,
)
from pvcnn.program.private_layers import apply, output_shape

Floats = NDArray[np.float64]
Result = TypeVar("Result")

FRAME = (1, 64, 64)
PIXEL_BOUND = 4.0
#: Output channels and pool of each block; the first ones make "one", two "two", all "three".
BLOCKS = ((8, 4), (16, 2), (16, 2))
NAMES = ("one", "two", "three", "detector")

#: Features have eleven bits and a sign on the frames that calibrate, twice as much in range.
_FEATURE_PEAK = 1 << 11


def blocks(count: int, frames: int) -> tuple[PrivatePart, Floats]:
    """Random 3x3 convolutions, squares and pools, with frames of mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    layers: list[PrivateLayer] = []
    inputs = FRAME[0]
    for number, (channels, pool) in enumerate(BLOCKS[:count], 1):
        weight = rng.normal(0, (9 * inputs) ** -0.5, (channels, inputs, 3, 3))
        layers += [
            PrivateConvolution(f"convolution{number}", weight, rng.normal(0, 0.1, channels)),
            Square(f"square{number}"),
            PrivateAveragePool.disjoint(f"pooling{number}", pool),
        ]
        inputs = channels
    pixels = np.clip(rng.normal(0, 1, (max(frames, 8), *FRAME)), -PIXEL_BOUND, PIXEL_BOUND)
    return calibrated(tuple(layers), pixels), pixels[:frames]


def calibrated(layers: tuple[PrivateLayer, ...], frames: Floats) -> PrivatePart:
    """The part with ranges from frames, as `split` makes it."""
    x, shape, ranges = frames, tuple(frames.shape[1:]), []
    for layer in layers:
        x, shape = apply(layer, x), output_shape(layer, shape)
        ranges.append(2 * float(np.abs(x).max()))
    step = ranges[-1] / 2 / _FEATURE_PEAK
    return PrivatePart(tuple(frames.shape[1:]), PIXEL_BOUND, layers, step, shape, tuple(ranges))


def detector(frames: int) -> tuple[PrivatePart, Floats]:
    """The shipped detector's private part, with frames of test people."""
    from pvcnn.data.frames import calibration_frames, demo_frames, prepare
    from pvcnn.models.deepfake import PRIVATE_BLOCKS
    from pvcnn.models.store import load_detector
    from pvcnn.partition.split import split

    dealt = demo_frames(frames, 1, seed=0)
    pixels = prepare(np.stack([frame for ((frame, _, _),) in dealt]))
    private = split(load_detector(), calibration_frames(256, 0), PRIVATE_BLOCKS).private
    assert private is not None
    return private, pixels.astype(np.float64)


def subject(name: str, frames: int) -> tuple[PrivatePart, Floats]:
    """One of NAMES. Raises ValueError for another."""
    if name not in NAMES:
        raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")
    return detector(frames) if name == "detector" else blocks(1 + NAMES.index(name), frames)


class _Unpacked(Evaluator):
    """A ciphertext for each channel."""

    def designed(self, private: PrivatePart, feature_limit: int) -> Design:
        return design(private, feature_limit, packs=False)


def measure(private: PrivatePart, frames: Floats, packs: bool = True) -> dict[str, Any]:
    """One campaign's worth of keys, then every frame up and down."""
    seconds: dict[str, list[float]] = {}
    made = _timed(seconds, "plan", lambda: design(private, packs=packs))
    plan, kind = made.plan, Evaluator if packs else _Unpacked
    secret, public, evaluation = _timed(seconds, "keygen", lambda: generate(plan))
    public_bytes, evaluation_bytes = public.to_bytes(plan), evaluation.to_bytes(plan)

    def prepared() -> Evaluator:
        keys = EvaluationKeys.from_bytes(plan, evaluation_bytes)
        return kind(plan, PublicKey.from_bytes(plan, public_bytes), keys, private)

    evaluator = _timed(seconds, "prepare", prepared)
    errors = []
    references = private_evaluate(private, frames)
    for frame, reference in zip(frames, references, strict=True):
        upload = _timed(seconds, "encrypt", partial(encrypt_frame, plan, public, frame))
        answer = _timed(
            seconds, "evaluate", partial(evaluator.evaluate, upload, secrets.token_bytes(SEED_BYTES))
        )
        features = _timed(seconds, "decrypt", partial(decrypt_features, plan, secret, answer))
        errors.append(features - reference)
    # Its noise is what is measured.
    evaluator.hide = lambda answer, randomness: None  # type: ignore[method-assign]
    noises = decrypt_features(plan, secret, evaluator.evaluate(upload, bytes(SEED_BYTES))) - references[-1]
    noise = float(np.abs(noises).max())
    report = report_of(made)
    return {
        **report.to_dict(),
        "table": str(report),
        "frames": len(frames),
        "processor_seconds": {step: statistics.median(times) for step, times in seconds.items()},
        "bytes": {
            "upload": len(upload),
            "download": len(answer),
            "public_key": len(public_bytes),
            "evaluation_keys": len(evaluation_bytes),
        },
        "feature_step": private.feature_step,
        "error_in_steps": {
            "evaluation": noise / private.feature_step,
            "flooded": float(np.abs(errors).max()) / private.feature_step,
        },
        "measured_flooding_bits": {
            "over_largest_error": math.log2(plan.flooding_amplitude / noise),
            "over_deviation": math.log2(plan.flooding_amplitude / float(np.std(noises))),
            "where_no_output_is": math.log2(plan.outer_flooding_amplitude / noise),
        },
    }


def compare(name: str, frames: int = 5, reference: bool = True) -> dict[str, Any]:
    """`ours` and, on two frames, `reference` (a ciphertext for each channel), with the `ratio` of times."""
    private, pixels = subject(name, frames)
    result: dict[str, Any] = {"name": name, "ours": measure(private, pixels)}
    if reference:
        result["reference"] = measure(private, pixels[:2], packs=False)
        times = [result[side]["processor_seconds"]["evaluate"] for side in ("reference", "ours")]
        result["ratio"] = {"evaluate": times[0] / times[1]}
    return result


def _timed(seconds: dict[str, list[float]], step: str, work: Callable[[], Result]) -> Result:
    """The result of `work`; its processor time is added to `step`."""
    start = time.process_time()
    result = work()
    seconds.setdefault(step, []).append(time.process_time() - start)
    return result
