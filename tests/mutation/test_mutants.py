"""10^4 mutants of all kinds of artefacts: none is accepted, crashes, hangs or takes much memory."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.mutation import arrays, octets, trees
from tests.mutation.__main__ import jobs_of
from tests.mutation.registry import KINDS, allotted
from tests.mutation.report import Report
from tests.mutation.samples import Samples
from tests.mutation.watch import run_all

_ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"pvcnn-[a-z-]*[a-z]")
MUTANTS = 10_000
#: JSON: docs/vectors has the only file of the first, from which mutants are made; nothing reads the others.
_NO_FORMATS = {"pvcnn-test-vectors", "pvcnn-leak-report", "pvcnn-cut-plan"}


def formats_in_the_package() -> set[str]:
    """Every string of pvcnn/ that is given a name with FORMAT in it, or names a layout."""
    found = set()
    for path in (_ROOT / "pvcnn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            values: list[ast.expr | None] = []
            if isinstance(node, ast.Assign):
                names = [each.id for each in node.targets if isinstance(each, ast.Name)]
                values = [node.value] if any("FORMAT" in name for name in names) else []
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                values = [node.value] if "FORMAT" in node.target.id else []
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Layout":
                values = list(node.args[:1])
            for value in values:
                if isinstance(value, ast.Constant) and _NAME.fullmatch(str(value.value)):
                    found.add(str(value.value))
    return found


def covered() -> set[str]:
    return {name for kind in KINDS.values() for name in kind.formats}


def test_every_format_has_an_entry() -> None:
    """A new one belongs into tests/mutation/: `registry.py` says how."""
    formats = formats_in_the_package()
    assert len(formats) > 40
    assert formats - covered() - _NO_FORMATS == set()
    assert covered() - formats == set()


def test_every_documented_format_has_an_entry() -> None:
    headings = re.findall(r"^### (pvcnn-[a-z-]+)$", (_ROOT / "docs" / "formats.md").read_text(), re.MULTILINE)
    assert set(headings) - covered() - _NO_FORMATS == set()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("mutation")
    samples = Samples.make(folder / "samples")
    results = run_all(jobs_of(allotted(MUTANTS), seed=1), samples.root, folder / "failed")
    return Report.of(results, 1, 0.0)


def test_ten_thousand_mutants(report: Report) -> None:
    assert not report.failures, "\n".join(str(failure) for failure in report.failures)
    assert {result.kind for result in report.kinds} == set(KINDS)
    assert sum(report.total.fates.values()) == report.total.mutants >= MUTANTS


def test_mutants_get_past_the_decoders(report: Report) -> None:
    """Else verifiers would be tested by nothing."""
    assert report.total.fates["verifier"] > MUTANTS // 40
    assert all(
        result.fates["decoder"]
        for result in report.kinds
        if result.mutants > 20 and "second" not in result.kind
    )


def test_every_mutator_is_used(report: Report) -> None:
    used = report.total.mutators
    for mutators in (octets.MUTATORS, trees.MUTATORS, arrays.MUTATORS):
        assert set(mutators) <= set(used)
