"""One product under several lowerings in one run: constraints, setup, proof, verification, sizes of keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pvcnn.bench.measure import Tick, medians
from pvcnn.bench.products import (
    MatrixShape,
    ProductCircuit,
    ProductShape,
    circuit,
    operands,
    predicted,
)
from pvcnn.qmp.commitments import commit_weights
from pvcnn.qmp.keys import VerificationKey
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
_BLINDING = 0xB11D
_NO_PROGRAM = bytes(32)


def lowerings_of(shape: ProductShape) -> tuple[Lowering, ...]:
    """Those that a product of this kind has, dearest last."""
    if isinstance(shape, MatrixShape):
        return Lowering.QMP, Lowering.QAP
    return Lowering.QMP, Lowering.QPP, Lowering.IM2COL, Lowering.QAP


@dataclass(eq=False)
class _Contestant:
    """One lowering with its keys, and the seconds that each of its steps took in each round."""

    circuit: ProductCircuit
    stage_one: StageOne
    compiled: float
    setups: list[dict[str, float]] = field(default_factory=list)
    proofs: list[dict[str, float]] = field(default_factory=list)
    key: ProvingKey | None = None
    verification_key: VerificationKey | None = None
    proof: Proof | None = None

    @classmethod
    def of(cls, shape: ProductShape, lowering: Lowering) -> _Contestant:
        start = time.perf_counter()
        made = circuit(shape, lowering)
        compiled = time.perf_counter() - start
        return cls(made, made.stage_one(operands(shape)), compiled)

    def set_up(self) -> None:
        self.key = None
        start = time.perf_counter()
        self.key, circuit_key = generate(self.circuit.system, _NO_PROGRAM, 1)
        self.setups.append({"setup": time.perf_counter() - start})
        weights = commit_weights(self.key, self.stage_one.w, _BLINDING)
        self.verification_key = circuit_key.commit(weights)

    def prove(self) -> None:
        """The self-check within a proof is counted, checking the key, which is done once, is not."""
        assert self.key is not None
        assert self.verification_key is not None
        start = time.perf_counter()
        proof = prove_witness(self.key, self.circuit, self.stage_one, b"", _BLINDING)
        proved = time.perf_counter()
        verify(self.verification_key, proof.statement, proof)
        self.proof = proof
        self.proofs.append({"prove": proved - start, "verify": time.perf_counter() - proved})

    def report(self) -> dict[str, Any]:
        assert self.key is not None
        assert self.verification_key is not None
        assert self.proof is not None
        constraints = self.circuit.system.constraints
        seconds = {"compile": self.compiled, **medians(self.setups), **medians(self.proofs)}
        return {
            "constraints": constraints,
            "domain": domain_size(constraints),
            "seconds": seconds,
            "rate": {step: constraints / seconds[step] for step in ("setup", "prove")},
            "bytes": {
                "pk": len(self.key.to_bytes()),
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
) -> dict[str, Any]:
    """`lowerings`: a report of each that has at most `limit` constraints, by name, of all others the
    constraints only. Times are wall seconds, medians of `repeat` rounds in which the lowerings take turns,
    after a setup and a proof of each that are not timed. `ours` is QMP, `reference` QAP; `ratio` holds
    reference over ours, if both were measured, and that of all constraints.
    """
    chosen = lowerings or lowerings_of(shape)
    counts = {lowering: predicted(shape, lowering) for lowering in chosen}
    contestants = {
        lowering: _Contestant.of(shape, lowering) for lowering in chosen if counts[lowering] <= limit
    }
    for contestant in contestants.values():
        _untimed(contestant, tick)
    steps: tuple[Callable[[_Contestant], None], ...] = (_Contestant.set_up, _Contestant.prove)
    for step in steps:
        for _ in range(repeat):
            for contestant in contestants.values():
                step(contestant)
                tick()
    reports = {lowering: contestant.report() for lowering, contestant in contestants.items()}
    counted = {lowering: {"constraints": count} for lowering, count in counts.items()}
    both = {lowering.value: reports.get(lowering, counted[lowering]) for lowering in chosen}
    return {"verified": True, "repeat": repeat, "lowerings": both, **_compared(reports, both)}


def _untimed(contestant: _Contestant, tick: Tick) -> None:
    """Tables that are made once, and the check of a key."""
    contestant.set_up()
    contestant.prove()
    contestant.setups.clear()
    contestant.proofs.clear()
    tick()


def _compared(reports: dict[Lowering, dict[str, Any]], both: dict[str, dict[str, Any]]) -> dict[str, Any]:
    compared: dict[str, Any] = {"ratio": {}}
    ours = both[OURS.value]["constraints"]
    for name, report in both.items():
        if name == BASELINE.value:
            compared["ratio"]["constraints"] = report["constraints"] / ours
        elif name != OURS.value:
            compared["ratio"][f"constraints_{name}"] = report["constraints"] / ours
    for key, lowering in (("ours", OURS), ("reference", BASELINE)):
        if lowering in reports:
            report = reports[lowering]
            compared[key] = {"constraints": report["constraints"], **report["seconds"]}
    if "ours" in compared and "reference" in compared:
        for step in ("setup", "prove", "verify"):
            compared["ratio"][step] = compared["reference"][step] / compared["ours"][step]
        rates = {
            step: reports[BASELINE]["rate"][step] / reports[OURS]["rate"][step] for step in ("setup", "prove")
        }
        compared["ratio"] |= {f"rate_{step}": value for step, value in rates.items()}
    return compared
