#!/usr/bin/env python3
"""Runs the second verifier on test vectors: docs/formats.md, section "Test vectors".

python scripts/check_vectors.py FILE [NAME]    only vectors whose name starts with NAME
                                               exit 0 if every verdict is the one that FILE expects, 1 if not
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import aggregate_equations

CODES = {"valid": 0, "invalid": 1, "malformed": 2}


@cache
def read(what: str, data: bytes) -> Any:
    """An artefact that many vectors have in common."""
    return getattr(aggregate_equations, f"read_{what}")(data)


def code_of(vector: dict[str, Any], artefacts: dict[str, bytes]) -> int:
    """0, or the code with which the vector is refused. All is decoded before anything is checked."""
    try:
        string, groups = read("string", artefacts[vector["reference_string"]]), []
        for group in vector["groups"]:
            key = read("key", artefacts[group["key"]])
            groups.append((key, [read("statement", artefacts[name]) for name in group["statements"]]))
        aggregate = aggregate_equations.read_aggregate(artefacts[vector["aggregate"]])
        aggregate_equations.verify_aggregate(
            aggregate, string, [aggregate_equations.Group(*group) for group in groups]
        )
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def artefacts_of(corpus: dict[str, Any]) -> dict[str, bytes]:
    """All artefacts: each is there in hexadecimal, or as another one with some bytes replaced."""
    found: dict[str, bytes] = {}
    for name, written in corpus["artefacts"].items():
        if isinstance(written, str):
            found[name] = bytes.fromhex(written)
        else:
            like, at, part = found[written["like"]], written["at"], bytes.fromhex(written["bytes"])
            found[name] = like[:at] + part + like[at + len(part) :]
    return found


def check(path: Path, beginning: str) -> bool:
    """Prints a line for each vector; whether all verdicts are as expected."""
    corpus = json.loads(path.read_text())
    artefacts, good = artefacts_of(corpus), True
    for vector in corpus["vectors"]:
        if vector["name"].startswith(beginning):
            same = code_of(vector, artefacts) == CODES[vector["verdict"]]
            said = "as expected" if same else "DIFFERENT"
            print(f"{said}: {vector['name']} is {vector['verdict']}", flush=True)
            good &= same
    return good


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check_vectors.py FILE [NAME]")
    sys.exit(0 if check(Path(sys.argv[1]), "".join(sys.argv[2:])) else 1)
