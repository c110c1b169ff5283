"""The second verifier as modules: it is a program in scripts/, so it is loaded by its path."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.aggregate.synthetic import Trapdoor, fold

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_aggregate.py"


@cache
def load_program(name: str) -> Any:
    """A file of scripts/ by its path; its neighbours are found there."""
    if str(SCRIPT.parent) not in sys.path:
        sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location(f"standalone_{name}", SCRIPT.with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def load_campaign() -> Any:
    """scripts/verify_aggregate.py."""
    return load_program("verify_aggregate")


def load() -> Any:
    """scripts/aggregate_equations.py, in which all of scripts/primitives.py that it uses has its name."""
    return load_part("aggregate_equations")


def load_part(name: str) -> Any:
    """A file beside the program, which finds it there by itself."""
    load_campaign()
    return sys.modules[name]


def exit_code(action: Callable[[], object]) -> int:
    """0 if `action` returns, the code with which it ends the program otherwise."""
    try:
        action()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def loaded(
    key: AggregationKey, trapdoor: Trapdoor, proofs: Sequence[Proof], data: bytes | None = None
) -> Verification:
    """The script's view of the aggregate of proofs under one key."""
    made = data or fold(key, trapdoor.vk, proofs).to_bytes()
    return of_groups(key, [(trapdoor.vk, [proof.statement for proof in proofs])], made)


def of_groups(
    key: AggregationKey, groups: Sequence[tuple[VerificationKey, Sequence[Statement]]], data: bytes
) -> Verification:
    """The script's view of an aggregate of several groups."""
    return Verification(
        copy(_read("aggregate", data)),
        copy(_read("string", key.verifier.to_bytes())),
        [
            load().Group(
                _read("key", vk.to_bytes()), [_read("statement", each.to_bytes()) for each in statements]
            )
            for vk, statements in groups
        ],
    )


@cache
def _read(what: str, data: bytes) -> Any:
    """What the script reads, once: most of its time goes into that."""
    return getattr(load(), f"read_{what}")(data)


@dataclass
class Verification:
    """What the script verifies: an aggregate, the reference string and groups of statements."""

    aggregate: Any
    string: Any
    groups: list[Any]

    def verify(self) -> None:
        """Ends the program if something does not hold."""
        load().verify_aggregate(self.aggregate, self.string, self.groups)

    def draw_challenges(self) -> Any:
        """The folded aggregate with its challenges drawn."""
        self.aggregate.string, self.aggregate.groups = self.string, self.groups
        self.aggregate.draw_challenges()
        return self.aggregate
