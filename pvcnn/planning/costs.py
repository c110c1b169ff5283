"""What the two parts of a cut cost: the private one on ciphertexts, the public one in a proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.bench.private import measure
from pvcnn.he.parameters import Design, design
from pvcnn.he.precision import TAIL
from pvcnn.he.report import report_of
from pvcnn.planning.rows import EncryptedCost, MeasuredFrame, PublicCost
from pvcnn.program.private import PrivatePart
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.compile import compile_layers
from pvcnn.qmp.lowering import predicted_constraints
from pvcnn.qmp.lowering_plan import Lowering, plan_lowerings
from pvcnn.qmp.proving_key import domain_size

#: Seconds of a proof, its part for each constraint and for each row of the domain: fitted to the table of
#: docs/performance.md, "Prove time against constraints" (two threads), within 15% up to 2 million.
#: Networks of docs/networks.md with published weights take up to 1.6 times that; above 2 million, twice.
_PROOF, _CONSTRAINT, _DOMAIN_ROW = 0.025, 1.9e-6, 0.4e-6

#: How often the keys lie in memory while they are made, measured at degree 16384.
_KEY_COPIES = 5.5
#: No frame is evaluated where that would take more bytes, or more than this share of what is free.
MEASURED_MEMORY, _FREE_SHARE = 10 * 10**9, 0.8
_MEMORY = Path("/proc/meminfo")


def encrypted_cost(private: PrivatePart) -> EncryptedCost:
    """Predicted; the design is kept for `measured_on`. Raises ParameterError, naming the layer."""
    made = design(private, names_cut=False)
    report, plan = report_of(made), made.plan
    last = made.chain.stages[-1].step.factor
    noise = TAIL * made.noises[-1] * abs(last) / plan.feature_step
    rooms = [row for row in report.rows if row.headroom_bits is not None]
    return EncryptedCost(
        degree=report.degree,
        seconds=report.milliseconds / 1000,
        evaluation_keys=report.evaluation_keys,
        upload=report.upload,
        download=report.download,
        noise_steps=noise,
        error_steps=noise + plan.flooding_amplitude / plan.feature_step,
        headroom_bits=min(row.headroom_bits for row in rooms if row.headroom_bits is not None),
        proved=all(row.proved for row in rooms),
        flooding_bits=report.flooding_bits,
        memory=_memory(made),
    )


def _memory(made: Design) -> int:
    """SEAL holds all digits of a key modulo all primes, used or not; keys are copied on their way to it."""
    plan = made.plan
    word = 8 * plan.degree
    keys = len(plan.keys) * len(plan.data_moduli) * 2 * len(plan.moduli) * word
    stages = zip(made.chain.stages, made.track, strict=False)
    return int(_KEY_COPIES * keys) + word * sum(stage.products * level.primes for stage, level in stages)


def measured_on(cost: EncryptedCost, private: PrivatePart, frame: NDArray[np.float64]) -> EncryptedCost:
    """`cost` with what one frame (channels, rows, columns) really takes, up and down, under fresh keys.

    As it is if that would take more memory than may be taken: it could take the machine down.
    """
    if cost.memory > min(MEASURED_MEMORY, int(_FREE_SHARE * free_memory())):
        return cost
    found = measure(private, frame[None])
    seconds, octets = found["processor_seconds"], found["bytes"]
    return replace(
        cost,
        measured=MeasuredFrame(
            prepare_seconds=seconds["keygen"] + seconds["prepare"],
            encrypt_seconds=seconds["encrypt"],
            evaluate_seconds=seconds["evaluate"],
            error_steps=found["error_in_steps"]["flooded"],
            evaluation_keys=octets["evaluation_keys"],
            upload=octets["upload"],
            download=octets["download"],
        ),
    )


def free_memory() -> int:
    """Bytes that programs can still get, as Linux estimates them; elsewhere more than MEASURED_MEMORY."""
    try:
        lines = _MEMORY.read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(available.split()[1])
    except (OSError, StopIteration, ValueError):
        return 2 * MEASURED_MEMORY


def public_cost(public: PublicPart) -> PublicCost:
    """Of a proof of one frame. Constraints are counted, not made: within 1% of those of the circuit."""
    published = public.weights if public.published else None
    plan = plan_lowerings(compile_layers(public.program, 1, published), Lowering.AUTO)
    constraints = predicted_constraints(plan)
    domain = domain_size(constraints)
    seconds = _PROOF + _CONSTRAINT * constraints + _DOMAIN_ROW * domain
    return PublicCost(constraints, domain, seconds)
