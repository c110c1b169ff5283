"""What a private part will cost on ciphertexts, layer by layer, before anything is encrypted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pvcnn.he.checks import features_content, frame_content, message_bytes
from pvcnn.he.parameters import FEATURE_LIMIT, Design, design
from pvcnn.he.precision import TAIL
from pvcnn.he.residues import packed_bytes
from pvcnn.program.private import PrivatePart


@dataclass(frozen=True)
class StageRow:
    """One operation; the last one is the mask of the answer.

    primes           data primes left before it
    ciphertexts      that it leaves
    key_switches     rotations, conjugations and relinearisations
    products         with plaintexts
    headroom_bits    from the largest value to where decryption would wrap around; None for the mask
    proved           whether no frame at all can exceed that value; else calibration frames do not
    precision_bits   p: the noise of a value stays below 2^-p
    milliseconds     predicted, of one thread
    """

    name: str
    kind: str
    primes: int
    ciphertexts: int
    key_switches: int
    products: int
    headroom_bits: int | None
    proved: bool
    precision_bits: int
    milliseconds: float


@dataclass(frozen=True)
class PlanReport:
    """The rows, and what the frames, keys and answers of the plan weigh, in bytes."""

    degree: int
    chain_bits: tuple[int, ...]
    scale_bits: int
    flooding_bits: int
    milliseconds: float
    upload: int
    download: int
    evaluation_keys: int
    rows: tuple[StageRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """A table for people."""
        lines = [
            f"degree {self.degree}, primes of {', '.join(map(str, self.chain_bits))} bits, scale"
            f" 2^{self.scale_bits}, flooding {self.flooding_bits} bits above the evaluation noise",
            f"{'layer':<28}{'kind':<14}{'primes':>7}{'switches':>9}{'products':>9}{'headroom':>9}"
            f"{'precision':>10}{'ms':>7}",
        ]
        for row in self.rows:
            room = "" if row.headroom_bits is None else f"{row.headroom_bits}{'' if row.proved else '*'}"
            lines.append(
                f"{row.name:<28}{row.kind:<14}{row.primes:>7}{row.key_switches:>9}{row.products:>9}{room:>9}"
                f"{row.precision_bits:>10}{row.milliseconds:>7.0f}"
            )
        lines.append(
            f"{self.milliseconds:.0f} ms a frame predicted; {self.upload / 1e3:.0f} kB up,"
            f" {self.download / 1e3:.0f} kB down, {self.evaluation_keys / 1e6:.1f} MB of keys once"
        )
        if not all(row.proved for row in self.rows):
            lines.append("* for frames like those of the calibration; no bound for all frames is that tight")
        return "\n".join(lines)


def report(private: PrivatePart, feature_limit: int = FEATURE_LIMIT) -> PlanReport:
    """Of the plan that `pvcnn.he.parameters.plan` makes. Raises ParameterError as it does."""
    return report_of(design(private, feature_limit))


def report_of(made: Design) -> PlanReport:
    plan = made.plan
    known = {layer.name: layer for layer in plan.layers}
    rows = []
    for stage, level, noise, cost in zip(
        made.chain.stages, made.track, made.noises[1:], made.milliseconds, strict=False
    ):
        layer = known.get(stage.name)
        largest = TAIL * noise * abs(stage.step.factor)
        rows.append(
            StageRow(
                name=stage.name,
                kind=stage.step.operation.kind,
                primes=level.primes,
                ciphertexts=stage.after.ciphertexts,
                key_switches=stage.key_switches,
                products=stage.products,
                headroom_bits=None if layer is None else layer.headroom_bits,
                proved=layer is None or layer.proved,
                precision_bits=math.floor(-math.log2(largest)),
                milliseconds=cost,
            )
        )
    keys = sum(key.primes * packed_bytes(plan.degree, plan.key_moduli(key)) for key in plan.keys)
    return PlanReport(
        degree=plan.degree,
        chain_bits=plan.chain_bits,
        scale_bits=plan.scale_bits,
        flooding_bits=plan.flooding_bits,
        milliseconds=sum(made.milliseconds),
        upload=message_bytes(plan, frame_content(plan)),
        download=message_bytes(plan, features_content(plan)),
        evaluation_keys=keys,
        rows=tuple(rows),
    )
