"""Checks of cluster/Containerfile: its instructions, and what it promises about versions and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.cluster import versions

_SECRET_WORDS = re.compile(r"secret|token|passw|private|credential|(?<![a-z])key", re.IGNORECASE)


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str


def instructions(text: str) -> list[Instruction]:
    """Comments and empty lines dropped, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.strip().split(None, 1)) for line in joined.splitlines()]


def copied(steps: Sequence[Instruction]) -> list[str]:
    """What is copied from the build context, not from another stage."""
    return [
        source
        for step in steps
        if step.name == "COPY" and "--from=" not in step.text
        for source in step.text.split()[:-1]
    ]


def complaints(text: str) -> list[str]:
    return [complaint for check in _CHECKS for complaint in check(instructions(text))]


def _bases(steps: Sequence[Instruction]) -> Iterator[str]:
    for step in steps:
        if step.name == "FROM" and not re.match(
            rf"python:{versions.python()}\.\d+-slim-[a-z]+( |$)", step.text
        ):
            yield f"FROM {step.text}: not a slim Python {versions.python()} pinned to a release"


def _foreign_files(steps: Sequence[Instruction]) -> Iterator[str]:
    for step in steps:
        if step.name == "ADD" or re.search(r"\b(curl|wget|git clone)\b", step.text):
            yield f"{step.name} {step.text}: fetches a file that nothing pins"
    allowed = {"pyproject.toml", "README.md", "LICENSE", "pvcnn"}
    for source in copied(steps):
        if source not in allowed:
            yield f"COPY {source}: more than the package and what describes it"


def _secrets(steps: Sequence[Instruction]) -> Iterator[str]:
    for step in steps:
        if step.name in ("ARG", "ENV", "LABEL") and _SECRET_WORDS.search(step.text):
            yield f"{step.name} {step.text}: may put a secret into a layer"
        if "--mount=type=secret" in step.text or "--mount=type=ssh" in step.text:
            yield f"{step.name} {step.text}: the build needs no secret"


def _users(steps: Sequence[Instruction]) -> Iterator[str]:
    last_from = max(place for place, step in enumerate(steps) if step.name == "FROM")
    users = [step.text for step in steps[last_from:] if step.name == "USER"]
    if not users or re.fullmatch(r"(root|0)(:.*)?", users[-1]):
        yield "the image runs as root"


def _versions(steps: Sequence[Instruction]) -> Iterator[str]:
    commands = [step.text for step in steps if step.name == "RUN"]
    for package, pin in (("torch", versions.torch()), ("ray[default]", versions.ray())):
        found = {match for text in commands for match in re.findall(rf"{re.escape(package)}==([\d.]+)", text)}
        if found != {pin}:
            yield f"{package} is {sorted(found)} here, {pin} elsewhere"
    first = next((text for text in commands if "pip install" in text), "")
    if "torch==" not in first:
        yield "torch is not installed first: a range would pull another one"
    extras = {
        extra
        for step in steps
        if step.name == "ARG" and step.text.startswith("EXTRAS=")
        for extra in step.text.removeprefix("EXTRAS=").split(",")
    }
    if not extras or extras - versions.extras():
        yield f"pyproject.toml has no extras {sorted(extras - versions.extras())}"


def ignored(patterns: str, path: str) -> bool:
    """Whether the builder never sees `path`: the last pattern that matches it or a parent decides."""
    verdict = False
    parts = PurePosixPath(path).parts
    for line in patterns.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        candidates = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if pattern.startswith("**/"):
            matches = any(PurePosixPath(part).match(pattern.removeprefix("**/")) for part in parts)
        else:
            matches = any(PurePosixPath(each).match(pattern) and "/" not in each for each in candidates)
        if matches:
            verdict = not line.startswith("!")
    return verdict


_CHECKS = (_bases, _foreign_files, _secrets, _users, _versions)
