"""The two kinds of aggregates, their sizes, and which of them is the smaller one.

A folded aggregate has a fixed cost that grows with the logarithm of the padded number of proofs, and 48 bytes
for each proof; a packed one has 240 bytes for each. Both need the same statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from pvcnn.aggregate import aggregate, packed
from pvcnn.aggregate.aggregate import Aggregate, aggregate_bytes
from pvcnn.aggregate.packed import PackedAggregate, packed_bytes
from pvcnn.aggregate.reference_string import padded_size
from pvcnn.encoding import read_map
from pvcnn.errors import DecodeError, VerificationError

AnyAggregate: TypeAlias = Aggregate | PackedAggregate
Scheme: TypeAlias = Literal["snarkpack", "packed", "auto"]
SCHEMES: tuple[Scheme, ...] = ("snarkpack", "packed", "auto")
#: Of an aggregate of either kind.
MAX_BYTES = max(aggregate.MAX_BYTES, packed.MAX_BYTES)


def decode_aggregate(data: bytes, groups: Sequence[int] | None = None) -> AnyAggregate:
    """The aggregate of either kind that `data` encodes. Raises DecodeError for anything else.

    groups: the numbers of statements, group by group, where it is known what the aggregate must prove. One of
    other numbers then raises VerificationError before any of its points is looked at: thousands of points for
    a single statement would take seconds to decode.
    """
    fields = read_map(data, "aggregate", MAX_BYTES)
    named = fields.get("format")
    if named not in (packed.FORMAT, aggregate.FORMAT):
        raise DecodeError("not an aggregate")
    if groups is not None and fields.get("groups") != list(groups):
        raise VerificationError(f"the aggregate is not one of {named_sizes(groups)} proofs")
    return PackedAggregate.from_bytes(data) if named == packed.FORMAT else Aggregate.from_bytes(data)


def named_sizes(groups: Sequence[int]) -> str:
    """Numbers of proofs in words: those of several groups one by one."""
    return " + ".join(map(str, groups))


def scheme_of(made: AnyAggregate) -> Scheme:
    """By which scheme an aggregate was made."""
    return "packed" if isinstance(made, PackedAggregate) else "snarkpack"


def sizes(groups: Sequence[int]) -> dict[Scheme, int]:
    """The bytes of the aggregate of so many proofs in each group, by scheme. Statements come on top of
    either.
    """
    return {"snarkpack": aggregate_bytes(groups), "packed": packed_bytes(groups)}


def smallest(groups: Sequence[int], max_folded: int) -> Scheme:
    """What `auto` takes: the scheme with the smaller aggregate, folding only what the reference string
    serves.

    With one key, that is `packed` for up to 120 proofs and for 129 to 136.
    """
    by_scheme = sizes(groups)
    if padded_size(sum(groups)) > max_folded or by_scheme["packed"] <= by_scheme["snarkpack"]:
        return "packed"
    return "snarkpack"
