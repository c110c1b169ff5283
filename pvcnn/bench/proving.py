"""Setting up and proving a frame of the one-block detector, by step with a key of its file as workers do."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pvcnn.bench.measure import medians
from pvcnn.qmp.api import prove, setup, verify
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.prepared_key import PreparedKey, open_proving_key
from pvcnn.qmp.proving_key import ProvingKey


def measure(repeat: int) -> dict[str, Any]:
    """Wall seconds of setup, proof (and its steps) and verification; medians over `repeat` proofs.

    Features are random within the program's range but small, so that no value leaves its range; what
    a proof costs does not depend on them.
    """
    from pvcnn.data.frames import PIXEL_BOUND, calibration_frames
    from pvcnn.models.store import load_one_block_detector
    from pvcnn.partition.split import split
    from pvcnn.program.private import private_evaluate

    frames = calibration_frames(64)
    parts = split(load_one_block_detector(), frames, pixel_bound=PIXEL_BOUND)
    program = parts.public.program
    values = private_evaluate(parts.private, frames[:1]) / parts.private.feature_step
    features = np.clip(np.rint(values), program.input_low, program.input_high).astype(np.int64)

    start = time.perf_counter()
    circuit = compile_program(program, 1)
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    made, verification_key = setup(parts.public)
    set_up = time.perf_counter() - start
    key, opening = _opened(made, repeat)
    prove(key, parts.public, features)  # tables that are made once

    steps, walls, cpus, verifications = [], [], [], []
    for _ in range(repeat):
        timings: dict[str, float] = {}
        wall, cpu = time.perf_counter(), time.process_time()
        proof = prove(key, parts.public, features, progress=timings.__setitem__)
        cpus.append({"cpu": time.process_time() - cpu})
        walls.append({"wall": time.perf_counter() - wall})
        steps.append(timings)
        start = time.perf_counter()
        verify(verification_key, proof.statement, proof)
        verifications.append({"verify": time.perf_counter() - start})
    return {
        "verified": True,
        "constraints": circuit.system.constraints,
        "counts": circuit.counts(),
        "ours": {**medians(walls), **medians(cpus)},
        "walls": [run["wall"] for run in walls],
        "steps": medians(steps),
        "seconds": {"compile": compiled, "setup": set_up, **opening, **medians(verifications)},
        "bytes": {
            "proof": len(proof.to_bytes()),
            "statement": len(proof.statement.to_bytes()),
            "vk": len(verification_key.to_bytes()),
            "pk": len(made.to_bytes()),
        },
    }


def _opened(key: ProvingKey, repeat: int) -> tuple[PreparedKey, dict[str, float]]:
    """The key from a file, and the seconds of opening it the first time and, a median, later."""
    with tempfile.TemporaryDirectory() as directory:
        path, cache = Path(directory) / "proving_key.safetensors", Path(directory)
        key.save(path)
        digest = key.digest()
        seconds = []
        for _ in range(repeat + 1):
            start = time.perf_counter()
            opened = open_proving_key(path, digest, cache)
            seconds.append({"open": time.perf_counter() - start})
    return opened, {"check and prepare key": seconds[0]["open"], "open key": medians(seconds[1:])["open"]}
