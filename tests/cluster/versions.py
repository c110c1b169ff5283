"""The versions that pyproject.toml and the Makefile name: whatever cluster/ names must equal them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pvcnn() -> str:
    return str(_PROJECT["version"])


def ray() -> str:
    """What the `dev` extra pins, so that tests run with the Ray that the cluster runs with."""
    (pin,) = [
        match[1]
        for requirement in _PROJECT["optional-dependencies"]["dev"]
        if (match := re.fullmatch(r"ray\[default\]==([\d.]+)", requirement))
    ]
    return pin


def torch() -> str:
    """What is installed first, by exact version, according to the Makefile."""
    text = (ROOT / "Makefile").read_text()
    (pin,) = re.finditer(r"pip install .*\btorch==([\d.]+)$", text, re.MULTILINE)
    return pin[1]


def python() -> str:
    """The oldest Python that pvcnn supports: major and minor."""
    match = re.fullmatch(r">=(\d+\.\d+)", _PROJECT["requires-python"])
    assert match is not None
    return match[1]


def extras() -> set[str]:
    return set(_PROJECT["optional-dependencies"])


def installed(package: str) -> str:
    """Without what a wheel adds after a plus sign."""
    return version(package).partition("+")[0]
