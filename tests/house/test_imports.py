"""Imports point one way, and the verifier needs none of the heavy packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pvcnn"

BASE = {"errors", "encoding", "files"}
#: What each part of the package may import from the others.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "encoding": {"errors"},
    "files": {"errors"},
    "algebra": BASE,
    "program": BASE | {"algebra"},
    "data": BASE,
    "models": BASE | {"data"},
    "he": BASE | {"algebra", "program"},
    "qmp": BASE | {"algebra", "program"},
    "partition": BASE | {"algebra", "program", "data", "models"},
    "aggregate": BASE | {"algebra", "qmp"},
    "ceremony": BASE | {"algebra", "program", "qmp", "aggregate"},
    "campaign": BASE | {"algebra", "program", "he", "qmp", "aggregate", "ceremony", "leak"},
    "compute": BASE | {"algebra", "qmp", "aggregate", "campaign"},
    "demo": BASE
    | {"algebra", "program", "data", "models", "he", "qmp", "partition", "aggregate", "campaign", "compute"}
    | {"leak"},
    "leak": BASE | {"program", "data", "models", "he", "partition"},
    "stream": BASE | {"algebra", "program", "data", "models", "partition", "campaign", "compute", "leak"},
    "bench": BASE | {"algebra", "program", "data", "models", "he", "qmp", "aggregate", "partition"},
    "planning": BASE | {"program", "data", "models", "he", "qmp", "partition", "leak", "bench"},
    "cli": BASE
    | {"algebra", "program", "data", "models", "he", "qmp", "partition", "aggregate", "campaign", "bench"}
    | {"compute", "demo", "stream", "ceremony", "leak", "planning"},
}
#: The same within parts that have packages of their own; what lies beside these may import all of them.
MAY_IMPORT_INSIDE: dict[str, dict[str, set[str]]] = {
    "campaign": {
        "artefacts": set(),
        "verification": {"artefacts"},
        "roles": {"artefacts", "verification"},
        "audit": {"artefacts", "roles"},
        "joint": {"artefacts", "verification", "roles"},
    },
    "partition": {
        "float_graph": set(),
        "torch_import": {"float_graph"},
        "onnx_import": {"float_graph"},
        "quantisation": {"float_graph"},
    },
}
HEAVY = (
    "torch",
    "ray",
    "tenseal",
    "zstandard",
    "numba",
    "llvmlite",
    "cupy",
    "scipy",
    "matplotlib",
    "py_ecc",
    "PIL",
    "cv2",
    "onnx",
    "sklearn",
)


def imported_modules(path: Path) -> set[str]:
    """The modules of pvcnn, and what is in them, that a source file names in any import, nested ones too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return {name for name in names if name.startswith("pvcnn.")}


def source_files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem in MAY_IMPORT)


@pytest.mark.parametrize("path", source_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    foreign = {name.split(".")[1] for name in imported_modules(path)} - MAY_IMPORT[part] - {part}
    foreign = {name for name in foreign if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists()}
    assert not foreign, f"{path.relative_to(ROOT)} may not import {sorted(foreign)}"


@pytest.mark.parametrize("part", MAY_IMPORT_INSIDE)
def test_imports_point_one_way_inside(part: str) -> None:
    rules = MAY_IMPORT_INSIDE[part]
    inside = {p.name for p in (PACKAGE / part).iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert inside == rules.keys()
    for package, allowed in rules.items():
        for path in (PACKAGE / part / package).rglob("*.py"):
            named = {tuple(name.split(".")[1:3]) for name in imported_modules(path)}
            mine = {(part, each) for each in (package, *allowed)}
            foreign = {name for name in named if name[0] == part and len(name) > 1} - mine
            assert not foreign, f"{path.relative_to(ROOT)} may not import {sorted(foreign)}"


def run_without(blocked: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter in which importing any of `blocked` raises ImportError."""
    preamble = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Blocker())
"""
    return subprocess.run(
        [sys.executable, "-c", preamble + code], capture_output=True, text=True, check=False
    )


def test_blocking_works() -> None:
    assert run_without(("torch",), "import torch").returncode != 0


@pytest.mark.parametrize(
    "module",
    [
        "pvcnn",
        "pvcnn.qmp.verifier",
        "pvcnn.qmp.published",
        "pvcnn.program.published",
        "pvcnn.aggregate.verifier",
        "pvcnn.campaign.verification.auditor",
        "pvcnn.campaign.joint.auditor",
        "pvcnn.ceremony.record",
        "pvcnn.leak.summary",
        "pvcnn.planning.limits",
        "pvcnn.cli.main",
    ],
)
def test_verifier_side_needs_no_heavy_package(module: str) -> None:
    result = run_without(HEAVY, f"import {module}")
    assert result.returncode == 0, result.stderr


def test_single_proofs_need_only_two_packages() -> None:
    blocked = (*HEAVY, "cryptography", "safetensors", "click", "rich")
    result = run_without(blocked, "import pvcnn.qmp.verifier")
    assert result.returncode == 0, result.stderr


def test_files_can_be_read_in_one_sitting() -> None:
    """The second verifier is one file on purpose, all of a verifier in it."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
    }
    long = {path: lines for path, lines in lengths.items() if lines > (500 if "pvcnn" in path else 560)}
    assert not long, f"too long: {long}"
