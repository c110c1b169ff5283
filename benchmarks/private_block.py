"""The private part on ciphertexts: python benchmarks/private_block.py [--detector] [--frames 5] [--json].

Times of one thread, sizes, error against the same layers in float64, and by how many bits the flooding
noise exceeds the evaluation noise: as planned (for the largest features, six deviations, the worst slot)
and as measured on these frames. The default is a block of random weights on random frames;
--detector takes the shipped detector's private part and frames of people it has never seen.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.decryption import decrypt_features
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey, generate
from pvcnn.he.parameters import plan
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivatePart,
    Square,
    private_evaluate,
)

Floats = NDArray[np.float64]
Result = TypeVar("Result")


def random_block(frames: int) -> tuple[PrivatePart, Floats]:
    """Eight 3x3 filters, square, 4x4 average pooling, on frames of mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    filters = PrivateConvolution("filters", rng.normal(0, 0.3, (8, 1, 3, 3)), rng.normal(0, 0.1, 8))
    layers = (filters, Square("square"), PrivateAveragePool("pooling", 4))
    pixels = np.clip(rng.normal(0, 1, (frames, 1, 64, 64)), -4, 4)
    return PrivatePart((1, 64, 64), 4.0, layers, 2.0**-9, (8, 16, 16)), pixels


def detector_block(frames: int) -> tuple[PrivatePart, Floats]:
    """The shipped detector's private part, with frames of test people."""
    from pvcnn.data.frames import calibration_frames, demo_frames, prepare
    from pvcnn.models.store import load_detector
    from pvcnn.partition.split import split

    dealt = demo_frames(frames, 1, seed=0)
    pixels = prepare(np.stack([frame for ((frame, _, _),) in dealt]))
    return split(load_detector(), calibration_frames(256, 0)).private, pixels


def timed(seconds: dict[str, list[float]], step: str, work: Callable[[], Result]) -> Result:
    """The result of `work`; its processor time is added to `step`."""
    start = time.process_time()
    result = work()
    seconds.setdefault(step, []).append(time.process_time() - start)
    return result


class Unhidden(Evaluator):
    """Leaves its answers as they come out of the evaluation, to measure their noise. Never to be sent."""

    def hide(self, answer: Any, randomness: Any) -> None:
        """Adds nothing."""


def measure(private: PrivatePart, frames: Floats) -> dict[str, Any]:
    """One campaign's worth of keys, then every frame up and down."""
    seconds: dict[str, list[float]] = {}
    chosen = timed(seconds, "plan", lambda: plan(private))
    secret, public, evaluation = timed(seconds, "keygen", lambda: generate(chosen))
    public_bytes, evaluation_bytes = public.to_bytes(chosen), evaluation.to_bytes(chosen)

    def prepared() -> Evaluator:
        keys = EvaluationKeys.from_bytes(chosen, evaluation_bytes)
        return Evaluator(chosen, PublicKey.from_bytes(chosen, public_bytes), keys, private)

    evaluator = timed(seconds, "prepare", prepared)
    unhidden = Unhidden(chosen, public, evaluation, private)
    errors, noises = [], []
    for frame, reference in zip(frames, private_evaluate(private, frames), strict=True):
        upload = timed(seconds, "encrypt", partial(encrypt_frame, chosen, public, frame))
        answer = timed(seconds, "evaluate", partial(evaluator.evaluate, upload, secrets.token_bytes(32)))
        features = timed(seconds, "decrypt", partial(decrypt_features, chosen, secret, answer))
        errors.append(features - reference)
        noises.append(decrypt_features(chosen, secret, unhidden.evaluate(upload, bytes(32))) - reference)
    noise = float(np.abs(noises).max())
    return {
        "degree": chosen.degree,
        "chain_bits": list(chosen.chain_bits),
        "scale_bits": chosen.scale_bits,
        "rotation_steps": len(chosen.steps),
        "layers": [vars(layer) for layer in chosen.layers],
        "frames": len(frames),
        "processor_seconds": {step: statistics.median(times) for step, times in seconds.items()},
        "bytes": {
            "upload": len(upload),
            "download": len(answer),
            "public_key": len(public_bytes),
            "evaluation_keys": len(evaluation_bytes),
        },
        "feature_step": private.feature_step,
        "error": {"evaluation": noise, "flooded": float(np.abs(errors).max())},
        "flooding_bits": {
            "planned": chosen.flooding_bits,
            "over_largest_error": math.log2(chosen.flooding_amplitude / noise),
            "over_deviation": math.log2(chosen.flooding_amplitude / float(np.std(noises))),
            "where_no_output_is": math.log2(chosen.outer_flooding_amplitude / noise),
        },
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    times = ", ".join(f"{step} {1e3 * t:.0f} ms" for step, t in result["processor_seconds"].items())
    sizes = ", ".join(f"{name} {size / 1e3:.0f} kB" for name, size in result["bytes"].items())
    layers = "\n".join(
        f"  {layer['name']} ({layer['kind']}): {layer['primes']} primes left,"
        f" headroom {layer['headroom_bits']} bits, precision {layer['precision_bits']} bits"
        for layer in result["layers"]
    )
    bits = result["flooding_bits"]
    return (
        f"degree {result['degree']}, chain {result['chain_bits']}, scale 2^{result['scale_bits']},"
        f" {result['rotation_steps']} rotation keys\n{layers}\n{times}\n{sizes}\n"
        f"error {result['error']['evaluation']:.1e} of evaluation, {result['error']['flooded']:.1e} with"
        f" flooding, feature step {result['feature_step']:.1e}\n"
        f"flooding over the evaluation noise: {bits['planned']} bits planned; measured"
        f" {bits['over_largest_error']:.1f} over the largest error, {bits['over_deviation']:.1f} over the"
        f" deviation, {bits['where_no_output_is']:.1f} where no output is"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--detector", action="store_true", help="the shipped detector's private part")
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    arguments = parser.parse_args()
    result = measure(*(detector_block if arguments.detector else random_block)(arguments.frames))
    print(table(result), file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
