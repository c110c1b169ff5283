"""What a mutant of one kind of artefact is put to, and what may come of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError
from tests.mutation import arrays, octets, trees
from tests.mutation.octets import Mutator
from tests.mutation.samples import Samples

#: What refused a mutant: its decoder; whoever verifies what it says; whoever compares its SHA-256 with the
#: one that a verified artefact names. `inert`: nobody refuses it, and `Target.inert` says why that is right.
Fate = Literal["decoder", "verifier", "digest", "inert"]
FATES: tuple[Fate, ...] = ("decoder", "verifier", "digest", "inert")

#: What decoders and verifiers are documented to raise on hostile bytes.
REFUSALS: tuple[type[Exception], ...] = (DecodeError, VerificationError, SubmissionRefused, CampaignError)

#: How an artefact is laid out, and so how it is mutated beside octet by octet.
Shape = Literal["map", "arrays", "octets"]
_MUTATORS: Mapping[Shape, Mapping[str, Mutator]] = {
    "map": trees.MUTATORS,
    "arrays": arrays.MUTATORS,
    "octets": {},
}
_OF_SHAPE = 0.7
_TRIES = 100


class Defect(AssertionError):  # noqa: N818 - it is the decoder's
    """A mutant had an effect that none may have."""


class Subject(Protocol):
    """What is mutated: bytes mostly, but it may be a folder."""

    def honest(self) -> None:
        """Raises unless the sample is accepted as it is: else nothing that follows means anything."""

    def mutant(self, rng: random.Random) -> tuple[str, Any]:
        """The mutator's name, and a mutant that is not the sample."""

    def judge(self, mutant: Any) -> Fate:
        """Raises Defect for an acceptance; what else it raises is undocumented and so a defect too."""


@dataclass(frozen=True)
class Target:
    """One artefact.

    decode: what reads it. encode: back again; what decodes must have no second encoding. verify: raises for
    another artefact than the sample. named_by: which verified artefact holds its SHA-256, if nothing else
    refuses it. inert: why nothing needs to. If neither is given, no mutant may get past decoder and verifier.
    wrap: what is decoded, made of what is mutated: a body signed again, say.
    """

    data: bytes
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes] | None = None
    verify: Callable[[Any], object] | None = None
    shape: Shape = "map"
    named_by: str = ""
    inert: str = ""
    wrap: Callable[[bytes], bytes] = field(default=lambda data: data)
    refusals: tuple[type[Exception], ...] = REFUSALS

    def honest(self) -> None:
        given = self.wrap(self.data)
        decoded = self.decode(given)
        assert self.encode is None or self.encode(decoded) == given
        if self.verify:
            self.verify(decoded)

    def mutant(self, rng: random.Random) -> tuple[str, bytes]:
        return mutated(rng, self.shape, self.data)

    def judge(self, mutant: bytes) -> Fate:
        given = self.wrap(mutant)
        try:
            decoded = self.decode(given)
        except self.refusals:
            return "decoder"
        if self.encode is not None and self.encode(decoded) != given:
            raise Defect("a second encoding of one artefact is accepted")
        if self.verify is not None:
            try:
                self.verify(decoded)
            except self.refusals:
                return "verifier"
        if self.named_by:
            return "digest"
        if self.inert:
            return "inert"
        raise Defect("accepted")


def mutated(rng: random.Random, shape: Shape, data: bytes) -> tuple[str, bytes]:
    """The name of a mutator, and what it made of `data`: something else."""
    for _ in range(_TRIES):
        own = _MUTATORS[shape]
        chosen = own if own and rng.random() < _OF_SHAPE else octets.MUTATORS
        name = rng.choice(list(chosen))
        try:
            made = chosen[name](rng, data)
        except (LookupError, ValueError, TypeError):  # the sample has nothing of what it changes
            continue
        if made != data:
            return name, made
    raise AssertionError("no mutator changes this sample")


@dataclass(frozen=True)
class Kind:
    """An entry of the registry.

    formats: the names, in pvcnn/, of what it covers. make: from samples and a folder of its own to write in.
    share: how many mutants it gets in proportion to others; what takes a millisecond has 100. seconds: what
    takes a processor longer is a hang.
    """

    name: str
    formats: tuple[str, ...]
    make: Callable[[Samples, Path], Subject]
    share: int = 100
    seconds: float = 2.0
