"""All kinds of artefacts that are mutated. A new format needs an entry here, or a test fails.

An entry is a `Kind`: a name, the formats of pvcnn/ that it covers, a function that makes its `Target` from
the samples, and its share. Put it into the module whose subject it is.
"""

from __future__ import annotations

from tests.mutation import (
    audit_kinds,
    campaign_kinds,
    ceremony_kinds,
    encryption_kinds,
    folder_kinds,
    frame_slots_kinds,
    proof_kinds,
)
from tests.mutation.targets import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in (
        campaign_kinds,
        audit_kinds,
        proof_kinds,
        encryption_kinds,
        frame_slots_kinds,
        ceremony_kinds,
        folder_kinds,
    )
    for kind in module.KINDS
}


def allotted(total: int) -> dict[str, int]:
    """How many mutants each kind gets of about `total`, by its share: at least one, and `total` at least."""
    shares = sum(kind.share for kind in KINDS.values())
    return {name: max(1, -(-total * kind.share // shares)) for name, kind in KINDS.items()}
