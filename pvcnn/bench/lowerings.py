"""One product under several lowerings in one run: constraints, setup, proof, verification, sizes of keys."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pvcnn.bench.measure import LEAST_SECONDS, Tick, turn
from pvcnn.bench.products import (
    MatrixShape,
    ProductCircuit,
    ProductShape,
    circuit,
    operands,
    predicted,
)
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.lowering_plan import Lowering
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.prover import prove_witness
from pvcnn.qmp.proving_key import ProvingKey, domain_size
from pvcnn.qmp.setup import generate
from pvcnn.qmp.system import StageOne
from pvcnn.qmp.verifier import verify

#: What the others are compared with, and what it is compared with.
OURS, BASELINE = Lowering.QMP, Lowering.QAP
#: More constraints than this are counted, not proved: at 2^23, a domain of 5 million, a proof takes 9 GB.
LIMIT = 5_000_000
#: The steps that are timed, and the method of a contestant that does each.
STEPS = {"setup": "set_up", "prove": "prove", "verify": "verify"}
#: What a report has of OURS beside the details of each lowering, as other benchmarks have it.
COMMON = ("constraints", "seconds", "bytes")
_BLINDING = 0xB11D
_NO_PROGRAM = bytes(32)


def lowerings_of(shape: ProductShape) -> tuple[Lowering, ...]:
    """Those that a product of this kind has, the baseline last."""
    if isinstance(shape, MatrixShape):
        return Lowering.QMP, Lowering.QAP
    return Lowering.QMP, Lowering.QPP, Lowering.IM2COL, Lowering.QAP


@dataclass(eq=False)
class _Contestant:
    """One lowering with its keys, and what each turn of each step took."""

    circuit: ProductCircuit
    stage_one: StageOne
    compiled: float
    timings: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    keys: tuple[ProvingKey, CircuitKey] | None = None
    proof: Proof | None = None

    @classmethod
    def of(cls, shape: ProductShape, lowering: Lowering) -> _Contestant:
        start = time.perf_counter()
        made = circuit(shape, lowering)
        compiled = time.perf_counter() - start
        return cls(made, made.stage_one(operands(shape)), compiled)

    def set_up(self) -> None:
        self.keys = None  # room for the next ones
        self.keys = generate(self.circuit.system, _NO_PROGRAM, 1)

    def prove(self) -> None:
        """The self-check within a proof is counted. The check of the key comes with the first one only."""
        self.proof = prove_witness(self.proving_key, self.circuit, self.stage_one, b"", _BLINDING)

    def verify(self) -> None:
        assert self.proof is not None
        verify(self.verification_key, self.proof.statement, self.proof)

    @property
    def proving_key(self) -> ProvingKey:
        assert self.keys is not None
        return self.keys[0]

    @cached_property
    def verification_key(self) -> VerificationKey:
        """Of the keys that were made last."""
        assert self.keys is not None
        return self.keys[1].commit(commit_weights(self.proving_key, self.stage_one.w, _BLINDING))

    def timed(self, step: str, least: float) -> None:
        self.timings[step].append(turn(getattr(self, step), least))

    def report(self) -> dict[str, Any]:
        assert self.proof is not None
        constraints = self.circuit.system.constraints
        cpu, wall = (
            {
                name: statistics.median(run[which] for run in self.timings[step])
                for name, step in STEPS.items()
            }
            for which in (0, 1)
        )
        return {
            "constraints": constraints,
            "domain": domain_size(constraints),
            "seconds": {"compile": self.compiled, **wall},
            "cpu": cpu,
            "rate": {step: constraints / cpu[step] for step in ("setup", "prove")},
            "bytes": {
                "pk": len(self.proving_key.to_bytes()),
                "vk": len(self.verification_key.to_bytes()),
                "proof": len(self.proof.to_bytes()),
            },
        }


def measure(
    shape: ProductShape,
    repeat: int,
    limit: int = LIMIT,
    tick: Tick = lambda: None,
    lowerings: Sequence[Lowering] | None = None,
    least: float = LEAST_SECONDS,
) -> dict[str, Any]:
    """`lowerings`: a report of each that has at most `limit` constraints, by name, of all others the
    constraints only. `seconds` are wall time, `cpu` is processor time of all threads, rates are constraints
    in a second of it; medians of `repeat` rounds in which the lowerings take turns, each of `least` seconds
    or one call, after one call of each that is not timed. `constraints`, `seconds`, `bytes` and `ours` are
    QMP's, `reference` QAP's. `ratio` is reference over ours: of constraints, and if both were proved of
    processor time, `wall_` of wall time. `verified`: something was proved, and all that was verified.

    Raises VerificationError if a proof does not verify.
    """
    chosen = lowerings or lowerings_of(shape)
    counts = {lowering: predicted(shape, lowering) for lowering in chosen}
    contestants = {
        lowering: _Contestant.of(shape, lowering) for lowering in chosen if counts[lowering] <= limit
    }
    for step in STEPS.values():
        for contestant in contestants.values():  # what is made once: tables, checked matrices and keys
            getattr(contestant, step)()
            tick()
        for _ in range(repeat):
            for contestant in contestants.values():
                contestant.timed(step, least)
                tick()
    reports = {lowering: contestant.report() for lowering, contestant in contestants.items()}
    counted = {lowering: {"constraints": count} for lowering, count in counts.items()}
    both = {lowering.value: reports.get(lowering, counted[lowering]) for lowering in chosen}
    return {"verified": bool(reports), "repeat": repeat, "lowerings": both, **_compared(reports, both)}


def _compared(reports: dict[Lowering, dict[str, Any]], both: dict[str, dict[str, Any]]) -> dict[str, Any]:
    compared: dict[str, Any] = {"ratio": {}}
    fewest = both[OURS.value]["constraints"]
    compared |= {key: both[OURS.value][key] for key in COMMON if key in both[OURS.value]}
    for name, report in both.items():
        if name == BASELINE.value:
            compared["ratio"]["constraints"] = report["constraints"] / fewest
        elif name != OURS.value:
            compared["ratio"][f"constraints_{name}"] = report["constraints"] / fewest
    for key, lowering in (("ours", OURS), ("reference", BASELINE)):
        if lowering in reports:
            compared[key] = {"constraints": reports[lowering]["constraints"], **reports[lowering]["cpu"]}
    if OURS in reports and BASELINE in reports:
        ours, reference = reports[OURS], reports[BASELINE]
        for step in STEPS:
            compared["ratio"][step] = reference["cpu"][step] / ours["cpu"][step]
            compared["ratio"][f"wall_{step}"] = reference["seconds"][step] / ours["seconds"][step]
        for step in ("setup", "prove"):
            compared["ratio"][f"rate_{step}"] = reference["rate"][step] / ours["rate"][step]
    return compared
