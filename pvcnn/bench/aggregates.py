"""Aggregates of many proofs: making and verifying them under each scheme, beside single proofs one by one."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.batch import verify_batch
from pvcnn.aggregate.intake import Progress
from pvcnn.aggregate.reference_string import aggregation_setup
from pvcnn.aggregate.schemes import Scheme, decode_aggregate, sizes, smallest
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.bench.measure import medians
from pvcnn.bench.simulated_proofs import SimulatedCircuit
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement_list import decode_statements, encode_statements
from pvcnn.qmp.verifier import verify

Result = TypeVar("Result")
#: Proofs that are verified one by one, of which the time for all follows.
_SINGLE = 32
_CONTEXT_BYTES = 32


def measure(proofs: int, repeat: int, progress: Progress) -> dict[str, Any]:
    """Bytes, and wall seconds, of an aggregate of so many proofs by scheme; medians over `repeat`
    verifications.

    The proofs are simulated (`pvcnn.bench.simulated_proofs`), one output each. `aggregate` holds the checking
    of all proofs. `verify` decodes aggregate and statements (a `pvcnn-statement-list`) and checks them; the
    reference decodes and verifies proof after proof.
    """
    circuit = SimulatedCircuit(seed=1, outputs=1)
    contexts = [i.to_bytes(_CONTEXT_BYTES, "little") for i in range(proofs)]
    made = [circuit.prove(context, (i & 1,)) for i, context in enumerate(contexts)]
    key, set_up = _timed(lambda: aggregation_setup(proofs))
    statements = encode_statements([proof.statement for proof in made])
    aggregate(key, circuit.vk, made[:2], scheme="snarkpack")  # what is compiled and computed once

    seconds: dict[str, Any] = {"setup": set_up}
    schemes: tuple[Scheme, ...] = ("snarkpack", "packed")
    for scheme in schemes:

        def fold(scheme: Scheme = scheme) -> bytes:
            return aggregate(key, circuit.vk, made, scheme=scheme, progress=progress).to_bytes()

        data, wall = _timed(fold)

        def check(data: bytes = data) -> None:
            listed = decode_statements(statements, contexts)
            verify_aggregate(key.verifier, circuit.vk, listed, decode_aggregate(data))

        check()
        runs = [{"verify": _timed(check)[1]} for _ in range(repeat)]
        seconds[scheme] = {"aggregate": wall, **medians(runs)}
    one_by_one = medians([{"verify": _one_by_one(circuit, made)} for _ in range(repeat)])["verify"]
    batch = _timed(lambda: verify_batch(circuit.vk, [proof.statement for proof in made], made))[1]
    chosen = smallest([proofs], key.max_proofs)
    return {
        "verified": True,
        "proofs": proofs,
        "auto": chosen,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes": {**sizes([proofs]), "statements": len(statements)},
        "seconds": {**seconds, "batch": batch},
        "ours": {"verify": seconds[chosen]["verify"]},
        "reference": {"verify": one_by_one},
        "ratio": {"verify": one_by_one / seconds[chosen]["verify"]},
    }


def _one_by_one(circuit: SimulatedCircuit, proofs: list[Proof]) -> float:
    """Seconds for all proofs, from some of them."""
    some = proofs[:_SINGLE]
    encoded = [(proof.to_bytes(), proof.statement) for proof in some]

    def check() -> None:
        for data, statement in encoded:
            verify(circuit.vk, statement, Proof.from_bytes(data))

    return _timed(check)[1] * len(proofs) / len(some)


def _timed(function: Callable[[], Result]) -> tuple[Result, float]:
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start
