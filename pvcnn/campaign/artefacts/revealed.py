"""What the statements of a campaign reveal: decisions, logits, or only how many decisions are correct."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.errors import VerificationError
from pvcnn.program.layers import Correct, Logits
from pvcnn.program.program import Program

#: The classes of a network with one logit, if the owner gives them no other names.
TWO_CLASSES = ("real", "fake")


class Kind(StrEnum):
    """Of the program's last layer."""

    DECISIONS = "decisions"
    LOGITS = "logits"
    CORRECT = "correct"


@dataclass(frozen=True)
class Revealed:
    """How a statement's outputs are read.

    frames        in a submission
    logits        of a frame, whether they are revealed or not
    names         of the classes, or empty: then they are numbers
    logit_scale   times an integer logit, by the owner's account, the network's own; None if it says nothing
    """

    kind: Kind
    frames: int
    logits: int
    names: tuple[str, ...] = ()
    logit_scale: float | None = None

    @classmethod
    def by(cls, program: Program, manifest: Manifest) -> Revealed:
        """Raises VerificationError if the manifest says what does not fit the program."""
        match program.output:
            case Logits():
                kind = Kind.LOGITS
            case Correct():
                kind = Kind.CORRECT
            case _:
                kind = Kind.DECISIONS
        (number,) = program.nodes[-1].inputs
        logits = math.prod(program.shapes[number])
        names = manifest.class_names or (TWO_CLASSES if logits == 1 else ())
        revealed = cls(kind, manifest.frames, logits, names, manifest.logit_scale)
        if names and len(names) != revealed.classes:
            raise VerificationError(f"the manifest names {len(names)} classes of {revealed.classes}")
        if manifest.takes_labels != (kind is Kind.CORRECT):
            raise VerificationError(
                "the manifest has a label key that the program does not take, or lacks one"
            )
        if manifest.logit_scale is not None and kind is not Kind.LOGITS:
            raise VerificationError("the manifest scales logits that are not revealed")
        return revealed

    @property
    def classes(self) -> int:
        """A single logit decides between two."""
        return max(2, self.logits)

    @property
    def outputs(self) -> int:
        """Of a statement."""
        return {Kind.DECISIONS: self.frames, Kind.LOGITS: self.frames * self.logits, Kind.CORRECT: 1}[
            self.kind
        ]

    def check(self, outputs: Sequence[int], where: str) -> None:
        """Raises VerificationError, naming `where`, for outputs that no honest proof has."""
        if len(outputs) != self.outputs:
            raise VerificationError(f"{where} holds {len(outputs)} outputs, not {self.outputs}")
        limit = {Kind.DECISIONS: self.classes, Kind.CORRECT: self.frames + 1}.get(self.kind)
        if limit is not None and not all(0 <= output < limit for output in outputs):
            what = {Kind.DECISIONS: "decisions", Kind.CORRECT: "a count of correct decisions"}[self.kind]
            raise VerificationError(f"{where} holds something else than {what}, in [0, {limit})")

    def logits_of(self, outputs: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Frame by frame; none where they are not revealed."""
        if self.kind is not Kind.LOGITS:
            return ()
        return tuple(
            tuple(outputs[start : start + self.logits]) for start in range(0, len(outputs), self.logits)
        )

    def decisions(self, outputs: Sequence[int]) -> tuple[int, ...]:
        """A class a frame, that of the first of the largest logits; none where they are not revealed."""
        if self.kind is Kind.DECISIONS:
            return tuple(outputs)
        return tuple(
            int(frame[0] > 0) if self.logits == 1 else frame.index(max(frame))
            for frame in self.logits_of(outputs)
        )

    def name(self, decision: int) -> str:
        return self.names[decision] if self.names else f"class {decision}"

    def label(self, text: str) -> int:
        """The class that a tester calls `text`: by its name, or its number. Raises ValueError."""
        if text in self.names:
            return self.names.index(text)
        if text.isascii() and text.isdecimal() and int(text) < self.classes:
            return int(text)
        known = ", ".join(self.names) if self.names else f"0 to {self.classes - 1}"
        raise ValueError(f"{text!r} is no class of this campaign: {known}")
