"""Lists of statements without contexts: exact, canonical, and hostile ones refused."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import cbor2
import pytest

from pvcnn.algebra.points import G1Point, scalar
from pvcnn.errors import DecodeError
from pvcnn.qmp.statement import MAX_OUTPUTS, Statement
from pvcnn.qmp.statement_list import decode_statements, encode_statements


def statements(count: int, labels: bool = False) -> list[Statement]:
    rng = random.Random(count)

    def draw() -> G1Point:
        return G1Point() * scalar(rng.randrange(1, 1 << 250))

    return [Statement(draw(), (i, -i), b"context %d" % i, draw() if labels else None) for i in range(count)]


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_contexts_make_them_whole(count: int, labels: bool) -> None:
    given = statements(count, labels)
    data = encode_statements(given)
    assert decode_statements(data, [each.context for each in given]) == given
    assert len(data) < 110 + count * (48 + 48 * labels + 6)
    others = decode_statements(data, [b""] * count)
    assert [each.to_bytes() for each in others] == [replace(each, context=b"").to_bytes() for each in given]


def test_statements_that_differ_are_refused() -> None:
    first, second = statements(2)
    for listed in ([], [first, statements(1, True)[0]], [first, replace(second, outputs=(1,))]):
        with pytest.raises(ValueError, match="list"):
            encode_statements(listed)


def test_hostile_bytes() -> None:
    given = statements(3)
    data, contexts = encode_statements(given), [each.context for each in given]
    fields = cbor2.loads(data)
    points = fields["features_commitments"]
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"surplus": 1},
        {"features_commitments": points[:-1]},
        {"features_commitments": points[:48]},
        {"features_commitments": b"\xc0" + bytes(47) + points[48:]},
        {"features_commitments": points[:96] + b"\x80" + bytes(46) + b"\x04"},
        {"labels_commitments": points[:48]},
        {"labels_commitments": points + points},
        {"outputs": fields["outputs"][:-1]},
        {"outputs": []},
        {"outputs": [1 << 63, *fields["outputs"][1:]]},
        {"outputs": [True, *fields["outputs"][1:]]},
        {"outputs": [fields["outputs"]]},
    ]
    samples = [cbor2.dumps(fields | change, canonical=True) for change in changes]
    samples += [data[:at] for at in (0, 1, 40, len(data) - 1)] + [data + b"\0", b"\xf6"]
    for sample in samples:
        with pytest.raises(DecodeError):
            decode_statements(sample, contexts)
    for wrong in ([], contexts[:2], [*contexts, b""]):
        with pytest.raises(DecodeError):
            decode_statements(data, wrong)


def test_nothing_longer_than_so_many_statements_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of one statement whose outputs are millions of zeros, a byte each, would take gigabytes."""
    fields = cbor2.loads(encode_statements(statements(1)))
    hostile = cbor2.dumps(fields | {"outputs": [0] * 100_000}, canonical=True)

    def look(*_: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr("cbor2.loads", look)
    with pytest.raises(DecodeError, match="at most 37216 allowed"):
        decode_statements(hostile, [b""])
    with pytest.raises(DecodeError, match="1 to 16384 statements"):
        decode_statements(hostile, [])


def test_as_many_outputs_as_statements_can_have() -> None:
    widest = Statement(G1Point(), (-(1 << 63),) * MAX_OUTPUTS, b"", G1Point())
    assert decode_statements(encode_statements([widest]), [b""]) == [widest]


def test_known_points_are_not_tested_again_but_values_are() -> None:
    point = G1Point()
    assert Statement.of_generators(point, (1,), b"") == Statement(point, (1,), b"")
    with pytest.raises(ValueError, match="outputs"):
        Statement.of_generators(point, (1 << 63,), b"")
    with pytest.raises(TypeError):
        Statement.of_generators(point, (1,), "context")  # type: ignore[arg-type]
