"""Many statements without their contexts, which whoever verifies computes: the least that it must be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pvcnn.algebra.constants import G1_BYTES
from pvcnn.algebra.point_lists import decode_g1_list
from pvcnn.algebra.points import encode_g1
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError
from pvcnn.qmp.statement import MAX_OUTPUTS, OUTPUT_LIMIT, Statement

FORMAT = "pvcnn-statement-list"
VERSION = 1
MAX_STATEMENTS = 1 << 14
MAX_BYTES = 1 << 28
_OVERHEAD_BYTES: Final = 256
#: Of one output, at most.
_OUTPUT_BYTES: Final = 9


def encode_statements(statements: Sequence[Statement]) -> bytes:
    """Statements that all have as many outputs, and all have labels or none; contexts are left out.

    Raises ValueError for statements that differ in that, for none or for more than MAX_STATEMENTS.
    """
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise ValueError(f"a list has 1 to {MAX_STATEMENTS} statements")
    labels = [s.labels_commitment for s in statements if s.labels_commitment is not None]
    outputs = {len(statement.outputs) for statement in statements}
    if len(labels) not in (0, len(statements)) or len(outputs) != 1:
        raise ValueError("the statements of a list have as many outputs, and all of them labels or none")
    fields = {
        "features_commitments": b"".join(encode_g1(s.features_commitment) for s in statements),
        "labels_commitments": b"".join(map(encode_g1, labels)),
        "outputs": [value for statement in statements for value in statement.outputs],
    }
    return encode(FORMAT, VERSION, fields)


def decode_statements(data: bytes, contexts: Sequence[bytes]) -> list[Statement]:
    """Inverse of `encode_statements`, given the context of each.

    Raises DecodeError for anything that it does not give, and for another number of statements. Nothing
    longer than so many statements is looked at.
    """
    count = len(contexts)
    if not 1 <= count <= MAX_STATEMENTS:
        raise DecodeError(f"{FORMAT}: a list has 1 to {MAX_STATEMENTS} statements")
    most = _OVERHEAD_BYTES + count * (2 * G1_BYTES + _OUTPUT_BYTES * MAX_OUTPUTS)
    fields = decode(data, FORMAT, VERSION, min(MAX_BYTES, most))
    commitments = fields.octets("features_commitments", length=G1_BYTES * count)
    labels = fields.octets("labels_commitments", max_length=G1_BYTES * count)
    outputs = fields.integer_sequence("outputs", count * MAX_OUTPUTS, -OUTPUT_LIMIT, OUTPUT_LIMIT)
    fields.finish()
    if not outputs or len(outputs) % count:
        raise DecodeError(f"{FORMAT}: {len(outputs)} outputs of {count} statements")
    if len(labels) not in (0, len(commitments)):
        raise DecodeError(f"{FORMAT}: every statement has a commitment to labels, or none has")
    joined = commitments + labels
    points = decode_g1_list([joined[at : at + G1_BYTES] for at in range(0, len(joined), G1_BYTES)])
    each = len(outputs) // count
    return [
        Statement.of_generators(
            points[i],
            tuple(outputs[each * i : each * (i + 1)]),
            context,
            points[count + i] if labels else None,
        )
        for i, context in enumerate(contexts)
    ]
