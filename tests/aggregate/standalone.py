"""scripts/verify_aggregate.py as a module: it is a program, so it is loaded by its path."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cbor2

from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.algebra.points import encode_g1
from pvcnn.qmp.proof import Proof
from tests.aggregate.synthetic import Trapdoor

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_aggregate.py"


@cache
def load() -> Any:
    """The script's module."""
    spec = importlib.util.spec_from_file_location("standalone_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def exit_code(action: Callable[[], object]) -> int:
    """0 if `action` returns, the code with which it ends the program otherwise."""
    try:
        action()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def loaded(
    key: AggregationKey, trapdoor: Trapdoor, proofs: Sequence[Proof], data: bytes | None = None
) -> Any:
    """The script's view of an aggregate, as its campaign half hands it over."""
    script, vk, string = load(), trapdoor.vk, key.verifier

    def point(value: Any) -> Any:
        encoded: bytes = value.to_compressed_bytes()
        return script.decode_point(encoded)

    key_fields = {
        "digest": vk.digest(),
        "alpha": point(vk.alpha_g1),
        "beta": point(vk.beta_g2),
        "gamma": [point(gamma) for gamma in vk.gamma_g2.by_segment().values()],
        "delta": point(vk.delta_g2),
        "public": [point(each) for each in vk.public_g1],
        "weights_commitment": encode_g1(vk.weights_commitment),
    }
    string_fields: dict[str, Any] = {"max_proofs": string.max_proofs, "digest": string.digest()}
    string_fields |= {name: point(getattr(string, name)) for name in ("a_g1", "b_g1", "a_g2", "b_g2")}
    statements = []
    for proof in proofs:
        statement = proof.statement.to_bytes()
        statements.append(cbor2.loads(statement) | {"data": statement})
    return script.Aggregate(
        data or aggregate(key, vk, proofs).to_bytes(), string_fields, key_fields, statements
    )
