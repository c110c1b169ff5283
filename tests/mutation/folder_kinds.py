"""Whole campaigns: any file of public/ mutated, gone, exchanged, or no file at all. Both verifiers."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.joint.folder import Joint, JointFolder
from pvcnn.campaign.verification import auditor
from pvcnn.ceremony.opening import open_ceremony
from pvcnn.ceremony.progress import Silence
from pvcnn.cli import ceremony as ceremony_commands
from pvcnn.errors import VerificationError
from tests.aggregate import standalone
from tests.campaign.joints import script_code
from tests.mutation.samples import Samples
from tests.mutation.targets import REFUSALS, Defect, Fate, Kind, Target, mutated


@dataclass(frozen=True)
class Change:
    """What is done to a file of public/, by its path there; `other` is another one, `data` a mutant of it."""

    name: str
    path: str
    other: str = ""
    data: bytes = b""


_CHANGES = (
    "mutated",
    "removed",
    "exchanged",
    "copied over",
    "a directory",
    "a link to itself",
    "a link to the file",
    "a pipe",
    "empty",
    "another name",
    "a stranger",
    "not readable as text",
)


@dataclass(frozen=True)
class Folder:
    """A folder, what verifies it, and which changes are harmless.

    verdict: raises, or says what it found, a line for each thing. harmless: whether a change may stay without
    a refusal; then verdict must find the same as before, but for what `without` takes out of it.
    """

    original: Path
    copy: Path
    verdict: Callable[[Path], list[str]]
    harmless: Callable[[Change], bool]
    without: Callable[[list[str]], list[str]] = field(default=lambda found: found)

    def honest(self) -> None:
        self._restore()
        assert self.verdict(self.copy) == self._before

    def mutant(self, rng: random.Random) -> tuple[str, Change]:
        paths = sorted(
            str(path.relative_to(self.original)) for path in self.original.rglob("*.*") if path.is_file()
        )
        path, other = rng.sample(paths, 2)
        if rng.random() < 0.6:
            shape = "map" if path.endswith(".cbor") else "arrays"
            name, data = mutated(rng, shape, (self.original / path).read_bytes())  # type: ignore[arg-type]
            return f"mutated: {name}", Change("mutated", path, data=data)
        name = rng.choice(_CHANGES[1:])
        if name in ("exchanged", "copied over") and _same(self.original / path, self.original / other):
            name = "removed"
        return name, Change(name, path, other)

    def judge(self, mutant: Change) -> Fate:
        try:
            self._apply(mutant)
            try:
                found = self.verdict(self.copy)
            except VerificationError:
                return "verifier"
            except REFUSALS:
                return "decoder"
            if self.harmless(mutant) and self.without(found) == self.without(self._before):
                return "inert"
            raise Defect(f"accepted: {mutant.path} {mutant.name} {mutant.other}")
        finally:
            self._restore()

    @cached_property
    def _before(self) -> list[str]:
        return self.verdict(self.original)

    def _restore(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.original, self.copy)

    def _apply(self, change: Change) -> None:
        path, other = self.copy / change.path, self.copy / change.other
        data = path.read_bytes()
        if change.name == "mutated":
            path.write_bytes(change.data)
        elif change.name == "exchanged":
            path.write_bytes(other.read_bytes())
            other.write_bytes(data)
        elif change.name == "copied over":
            path.write_bytes(other.read_bytes())
        elif change.name == "a stranger":
            path.with_name(path.name + ".bak").write_bytes(data)
        else:
            self._replace(change.name, path, data)

    def _replace(self, name: str, path: Path, data: bytes) -> None:
        path.unlink()
        if name == "a directory":
            path.mkdir()
        elif name == "a link to itself":
            path.symlink_to(path)
        elif name == "a link to the file":
            outside = self.copy.parent / "outside"
            outside.write_bytes(data)
            path.symlink_to(outside)
        elif name == "a pipe":
            os.mkfifo(path)
        elif name == "empty":
            path.touch()
        elif name == "another name":
            path.with_name("other.cbor").write_bytes(data)
        elif name == "not readable as text":
            path.with_name("\udcff.cbor").write_bytes(data)


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _package(folder: Path) -> list[str]:
    verdict = auditor.verify(folder)
    if not verdict.verified:
        raise VerificationError("not verified")
    return [
        f"{each.status} {each.decisions} {each.count} (label: {list(each.labels or ())})"
        for each in verdict.outcomes
    ]


def _package_joint(folder: Path) -> list[str]:
    verdict = verify_joint(folder)
    if not verdict.verified:
        raise VerificationError("not verified")
    return verdict.sentences()


def _second_verifier_joint(folder: Path) -> list[str]:
    code = script_code(JointFolder(folder))
    if code in (1, 2):
        raise VerificationError(f"exit code {code}")
    return []


def _second_verifier(folder: Path) -> list[str]:
    """scripts/verify_aggregate.py: exit 0, or 1 or 2, and nothing else."""
    script = standalone.load_campaign()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        code = standalone.exit_code(lambda: script.Campaign(folder).verify())
    if code in (1, 2):
        raise VerificationError(f"exit code {code}")
    if code != 0:
        raise Defect(f"the second verifier ended with code {code}")
    return printed.getvalue().splitlines()


def _without_labels(found: list[str]) -> list[str]:
    return [re.sub(r" \(label: [^)]*\)", "", line) for line in found]


def _campaign(
    name: str, which: str, verdict: Callable[[Path], list[str]], share: int, seconds: float
) -> Kind:
    """No tester has to open its labels, so their file may be gone. Nothing else may."""

    def make(samples: Samples, scratch: Path) -> Folder:
        original = samples.root / which / "public"
        return Folder(
            original,
            scratch / "public",
            verdict,
            lambda change: change.name == "removed" and change.path.startswith("labels/"),
            _without_labels,
        )

    return Kind(name, (), make, share, seconds)


def _joint(name: str, verdict: Callable[[Path], list[str]], share: int, seconds: float) -> Kind:
    """As in a campaign: an opening of labels may be gone."""

    def make(samples: Samples, scratch: Path) -> Folder:
        return Folder(
            samples.joint,
            scratch / "joint",
            verdict,
            lambda change: change.name == "removed" and "/labels/" in change.path,
        )

    return Kind(name, (), make, share, seconds)


def _joint_file(samples: Samples, scratch: Path) -> Target:
    """joint.cbor, which nobody signs: all that it says must be seen in the folder."""
    folder = JointFolder(scratch / "joint")
    shutil.copytree(samples.joint, folder.path)

    def verify(joint: Joint) -> None:
        folder.file.write_bytes(joint.to_bytes())
        verify_joint(folder.path)

    return Target(folder.file.read_bytes(), Joint.from_bytes, Joint.to_bytes, verify)


def _ceremony(folder: Path) -> list[str]:
    """What `pvcnn ceremony verify` reports, but for record and summary, which are there if they are there."""
    report, _ = ceremony_commands._verified(open_ceremony(folder), Silence())  # type: ignore[arg-type]
    return [f"{name}: {report[name]}" for name in ("closed", "transcript_digest", "chains")]


def _harmless_to_a_ceremony(change: Change) -> bool:
    """Keys and record follow from the transcript, and may be missing. Files that are no part of it are not
    read, and where its files lie is the folder's owner's business.
    """
    absent = change.name in ("removed", "another name", "a link to itself", "not readable as text")
    if absent and (change.path.startswith("keys/") or change.path == "record.cbor"):
        return True
    if change.name == "a stranger":
        return "contributions/" not in change.path
    return change.name == "a link to the file"


def _transcript(which: str, share: int) -> Kind:
    def make(samples: Samples, scratch: Path) -> Folder:
        return Folder(samples.root / which, scratch / which, _ceremony, _harmless_to_a_ceremony)

    return Kind(f"a ceremony's folder, {which}", (), make, share)


#: The second verifier's arithmetic is Python's own: docs/performance.md says how long it takes.
_SLOW = 60.0

KINDS = [
    _campaign("a campaign's folder", "campaign", _package, 50, 2.0),
    _campaign("a folder with a count", "count", _package, 25, 2.0),
    _campaign("a campaign's folder, second verifier", "campaign", _second_verifier, 1, _SLOW),
    _campaign("a folder with a count, second verifier", "count", _second_verifier, 1, _SLOW),
    Kind("joint campaigns", ("pvcnn-joint",), _joint_file, 20),
    _joint("a joint folder", _package_joint, 15, 2.0),
    _joint("a joint folder, second verifier", _second_verifier_joint, 1, _SLOW),
    _transcript("powers", 5),
    _transcript("circuit", 2),
]
