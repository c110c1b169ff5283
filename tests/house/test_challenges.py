"""Every challenge and every coin of the project is known here, with the test that flips what it depends on.

A new one, or a new item in an old one, fails until it stands here and in docs/attacks.md with such a test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = (ROOT / "docs" / "attacks.md").read_text()
FILES = sorted([*(ROOT / "pvcnn").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
#: Tests as documents name them: `tests/part/test_file.py::name`, or a class's `test_file.py::Class::name`.
NAMED = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")


@dataclass(frozen=True)
class Drawn:
    """What a file hashes: labels of items; challenges, as they are written there; tests that flip items."""

    items: set[str]
    challenges: set[str]
    tests: tuple[str, ...]


_PROOF = {
    "verification key",
    "context",
    "number of outputs",
    "output",
    "D_in",
    "D_w",
    "D_lab",
    "D_aux",
}
_AGGREGATE = {
    "reference string",
    "groups",
    "verification key",
    "proofs",
    "padded size",
    "statement",
    "D_aux",
    "commitments",
    "Z_AB",
    "Z_C",
    "left cross terms",
    "right cross terms",
    "final",
}

CHALLENGES: dict[str, Drawn] = {
    "pvcnn/qmp/challenges.py": Drawn(
        _PROOF,
        {"name"},
        (
            "tests/qmp/test_proof_system.py::TestChallenges::test_each_item_changes_every_challenge",
            "tests/qmp/test_proof_system.py::TestChallenges::test_every_field_of_the_key_changes_them",
            "tests/qmp/test_proof_system.py::TestChallenges::test_every_field_of_the_statement_changes_them",
        ),
    ),
    "pvcnn/aggregate/challenges.py": Drawn(
        _AGGREGATE,
        {"'r'", "'y'", "'x'", "'z'"},
        (
            "tests/aggregate/test_aggregate_challenges.py::test_challenges_depend_on_everything_before_them",
            "tests/aggregate/test_aggregate_challenges.py::test_challenges_depend_on_the_number_of_proofs",
            "tests/aggregate/test_aggregate_challenges.py::test_challenges_depend_on_the_bounds_of_groups",
        ),
    ),
    "pvcnn/ceremony/knowledge.py": Drawn(
        {"previous", "number", "name", "state", "secret", "before", "after", "commitment"},
        {"secret.name"},
        ("tests/ceremony/test_contribution.py::test_challenges_depend_on_everything",),
    ),
    "pvcnn/ceremony/beacon.py": Drawn(
        {"seed"}, {"secret.name"}, ("tests/ceremony/test_ceremony.py::test_beacons",)
    ),
    "pvcnn/ceremony/drawing.py": Drawn(
        {"system", "user"},
        {"secret.name"},
        (
            "tests/ceremony/test_ceremony.py::test_drawn_secrets",
            "tests/ceremony/test_ceremony.py::test_entropy_counts",
        ),
    ),
    "scripts/aggregate_equations.py": Drawn(
        _PROOF | _AGGREGATE,
        {"'r'", "'y'", "'x'", "'z'", "name"},
        (
            "tests/aggregate/test_standalone.py::test_transcripts_agree",
            "tests/aggregate/test_standalone.py::test_every_challenge_is_the_packages",
        ),
    ),
}

CHALLENGES["scripts/ceremony_chain.py"] = Drawn(
    CHALLENGES["pvcnn/ceremony/knowledge.py"].items | CHALLENGES["pvcnn/ceremony/beacon.py"].items,
    {"name"},
    (
        "tests/campaign/test_ceremony_keys.py::TestWhoMadeTheKeys::test_both_verifiers_say_it",
        "tests/campaign/test_ceremony_keys.py::test_both_verifiers_follow_the_chains",
    ),
)

#: Where equations are merged by coins: the test in which known ones let a lie through that fresh ones find.
COINS: dict[str, str] = {
    "pvcnn/aggregate/merged_equations.py": (
        "tests/aggregate/test_aggregate_refuses.py::test_random_weights_differ_from_call_to_call"
    ),
    "scripts/aggregate_equations.py": (
        "tests/aggregate/test_dishonest_aggregator.py::test_errors_that_cancel_in_a_packed_aggregate"
    ),
    "pvcnn/algebra/subgroups.py": "tests/ceremony/test_known_coins.py::test_a_point_outside_of_its_group",
    "pvcnn/ceremony/powers_check.py": "tests/ceremony/test_known_coins.py::test_powers_whose_errors_cancel",
    "pvcnn/ceremony/circuit_check.py": (
        "tests/ceremony/test_known_coins.py::test_quotients_whose_errors_cancel"
    ),
    "pvcnn/ceremony/columns.py": "tests/ceremony/test_known_coins.py::test_keys_whose_errors_cancel",
}
#: Where numbers are drawn that nobody has to believe in: secrets, blindings, noise, salts, nonces, names.
NO_COINS = {
    "pvcnn/algebra/points.py",
    "pvcnn/algebra/scalars.py",
    "pvcnn/bench/field.py",
    "pvcnn/bench/points.py",
    "pvcnn/bench/private.py",
    "pvcnn/campaign/audit_secret.py",
    "pvcnn/campaign/commitments.py",
    "pvcnn/campaign/owner.py",
    "pvcnn/campaign/prover.py",
    "pvcnn/campaign/sealed_rows.py",
    "pvcnn/campaign/tester.py",
    "pvcnn/ceremony/description.py",
    "pvcnn/ceremony/drawing.py",
    "pvcnn/compute/environment.py",
    "pvcnn/compute/job_board.py",
    "pvcnn/he/keys.py",
    "pvcnn/partition/quantisation/emitter.py",
}
_GENERATORS = {
    "secrets.randbits",
    "secrets.randbelow",
    "secrets.token_bytes",
    "secrets.token_hex",
    "os.urandom",
    "scalars.random",
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def hashed(path: Path) -> Iterator[tuple[str, str]]:
    """("item" or "challenge", its label) for everything that a file does with a transcript."""
    for name, call in calls(path):
        last = name.rpartition(".")[2]
        if last == "challenge" and "." in name:
            yield "challenge", ast.unparse(call.args[0])
        elif last in ("absorb", "absorb_integer"):
            for inner in ast.walk(call):
                first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield "item", first.value
            if isinstance(call.args[0], ast.Constant):
                yield "item", str(call.args[0].value)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


#: Transcripts themselves.
MAKERS = {"pvcnn/algebra/transcript.py", "scripts/primitives.py"}


def test_no_challenge_is_unknown() -> None:
    found = {relative(path): set(hashed(path)) for path in FILES if relative(path) not in MAKERS}
    known = {
        name: {("item", item) for item in drawn.items} | {("challenge", label) for label in drawn.challenges}
        for name, drawn in CHALLENGES.items()
    }
    assert {name: uses for name, uses in found.items() if uses} == known


def test_no_coin_is_unknown() -> None:
    found = {relative(path) for path in FILES for name, _ in calls(path) if name in _GENERATORS}
    assert found == COINS.keys() | NO_COINS
    assert not COINS.keys() & NO_COINS


def test_no_domain_serves_two_purposes() -> None:
    """What is hashed for one purpose can then never pass as hashed for another."""
    seen: dict[str, str] = {}
    for path in FILES:
        if not relative(path).startswith("pvcnn/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.fullmatch(r"pvcnn/[a-z/-]+", str(node.value)):
                name, where = str(node.value), relative(path)
                assert seen.setdefault(name, where) == where, f"{name} in {where} and {seen[name]}"
    assert len(seen) > 15


@pytest.mark.parametrize(
    "test", sorted({test for drawn in CHALLENGES.values() for test in drawn.tests} | {*COINS.values()})
)
def test_each_has_its_test_in_the_document(test: str) -> None:
    assert f"`{test}`" in ATTACKS


def names_in(path: Path) -> set[str]:
    """Tests of a file: ::name and ::Class::name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"::{node.name}")
        elif isinstance(node, ast.ClassDef):
            found |= {f"::{node.name}"}
            found |= {
                f"::{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)
            }
    return found


def test_tests_that_are_named_exist() -> None:
    named = NAMED.findall(ATTACKS)
    assert len(named) > 60
    missing = [file + name for file, name in named if name not in names_in(ROOT / file)]
    assert not missing
