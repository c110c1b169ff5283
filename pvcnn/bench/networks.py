"""Quantising, setting up and proving one network of the catalogue, all of it public, by step."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from pvcnn.bench.measure import medians
from pvcnn.models import catalogue
from pvcnn.partition.split import split
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.prepared_key import open_proving_key

#: Frames that fix the ranges; the proved ones are among them, so no value leaves its range.
CALIBRATION_FRAMES = 64


def measure(name: str, weights: str, frames: int, repeat: int) -> dict[str, Any]:
    """Wall seconds of every step, constraints by gadget, bytes, and this process's peak memory.

    The whole network is the public part, from the pixels on, whether its `weights` are "committed" or
    "published"; a proof is about `frames` frames. The key comes from its file, checked, as workers have it.
    Proof and verification are medians over `repeat` proofs after one that is not counted. Raises ValueError
    for an unknown name.
    """
    calibration = catalogue.frames(name, max(CALIBRATION_FRAMES, frames))
    seconds: dict[str, float] = {}

    def timed(step: str, start: float) -> None:
        seconds[step] = time.perf_counter() - start

    start = time.perf_counter()
    parts = split(catalogue.create(name), calibration, cut=0, weights=weights)
    timed("split", start)
    features = parts.features(calibration[:frames])
    start = time.perf_counter()
    circuit = compile_program(
        parts.public.program, frames, published=parts.public.weights if weights == "published" else None
    )
    timed("compile", start)
    start = time.perf_counter()
    made, verification_key = setup(parts.public, frames)
    timed("setup", start)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "proving_key.safetensors"
        made.save(path)
        size, digest = path.stat().st_size, made.digest()
        del made
        start = time.perf_counter()
        key = open_proving_key(path, digest, Path(directory))
        timed("check and prepare key", start)
        prove(key, parts.public, features)
        steps, walls = [], []
        for _ in range(repeat):
            timings: dict[str, float] = {}
            start = time.perf_counter()
            proof = prove(key, parts.public, features, progress=timings.__setitem__)
            wall = time.perf_counter() - start
            start = time.perf_counter()
            verify(verification_key, proof.statement, proof)
            walls.append({"prove": wall, "verify": time.perf_counter() - start})
            steps.append(timings)
    return {
        "model": name,
        "weights": weights,
        "frames": frames,
        "verified": True,
        "constraints": circuit.system.constraints,
        "counts": circuit.counts(),
        "agreement": parts.report.agreement,
        "seconds": {**seconds, **medians(walls)},
        "steps": medians(steps),
        "bytes": {
            "proof": len(proof.to_bytes()),
            "statement": len(proof.statement.to_bytes()),
            "vk": len(verification_key.to_bytes()),
            "pk": size,
        },
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
