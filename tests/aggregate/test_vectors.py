"""The test vectors that ship: they are what their maker makes, and both verifiers come to their verdicts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.aggregate.schemes import decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate_groups
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.statement import Statement
from tests.aggregate import standalone
from tests.aggregate.vectors import FILE, FORMAT, VERSION, Maker, artefacts_of

CORPUS: dict[str, Any] = json.loads(FILE.read_text())
ARTEFACTS = artefacts_of(CORPUS)
VECTORS: list[dict[str, Any]] = CORPUS["vectors"]
#: Of the rest, scripts/check_vectors.py takes minutes: every so many of them are checked here.
STEP = 12


def verdict(vector: dict[str, Any]) -> str:
    """The package's."""
    try:
        string = AggregationVerifierKey.from_bytes(ARTEFACTS[vector["reference_string"]])
        groups = [
            (
                VerificationKey.from_bytes(ARTEFACTS[group["key"]]),
                [Statement.from_bytes(ARTEFACTS[name]) for name in group["statements"]],
            )
            for group in vector["groups"]
        ]
        aggregate = decode_aggregate(ARTEFACTS[vector["aggregate"]])
    except DecodeError:
        return "malformed"
    try:
        verify_aggregate_groups(string, groups, aggregate)
    except VerificationError:
        return "invalid"
    return "valid"


def test_the_file_is_what_its_maker_makes() -> None:
    made = Maker().make()
    assert made.to_json() == FILE.read_text(), "run python -m tests.aggregate.vectors"
    assert made.artefacts == ARTEFACTS


def test_the_corpus_is_complete() -> None:
    assert (CORPUS["format"], CORPUS["version"]) == (FORMAT, VERSION)
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)
    used = {vector[part] for vector in VECTORS for part in ("aggregate", "reference_string")}
    used |= {group["key"] for vector in VECTORS for group in vector["groups"]}
    used |= {name for vector in VECTORS for group in vector["groups"] for name in group["statements"]}
    assert used >= {name for name in ARTEFACTS if "statement" not in name}
    assert min(Counter(vector["verdict"] for vector in VECTORS).values()) >= 8
    assert FILE.stat().st_size < 250_000


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_package_comes_to_the_verdict(vector: dict[str, Any]) -> None:
    assert verdict(vector) == vector["verdict"]


@pytest.mark.parametrize("vector", VECTORS[5::STEP], ids=lambda vector: vector["name"])
def test_the_second_verifier_comes_to_the_verdict(vector: dict[str, Any]) -> None:
    script = standalone.load_program("check_vectors")
    assert script.artefacts_of(CORPUS) == ARTEFACTS
    assert script.code_of(vector, ARTEFACTS) == script.CODES[vector["verdict"]]
