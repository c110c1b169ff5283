"""A campaign with its proofs, for whoever aggregates them anew: from the cluster's outcomes, or from what is
published, if that is a packed aggregate, which holds the proofs as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.aggregate.schemes import decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    AGGREGATION_VERIFIER_KEY,
    REFUSALS,
    STATEMENTS,
    CampaignFolder,
    PublicFolder,
)
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import collect
from pvcnn.campaign.verification import auditor
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof


@dataclass(frozen=True)
class Proved:
    """A campaign in which every submission has an outcome, and at least one a proof.

    statements, refusals    encoded, by index, as they are published
    proofs                  valid ones of the statements, in their order, with statements attached
    aggregation_key         file of its reference string, if it is here
    folds_up_to             most proofs that string serves; 0 if it is not here
    """

    public: PublicFolder
    proceedings: Proceedings
    key: VerificationKey
    statements: dict[int, bytes]
    refusals: dict[int, bytes]
    proofs: list[Proof]
    aggregation_key: Path | None
    folds_up_to: int


def read_proved(path: Path) -> Proved:
    """The campaign in `path`, a campaign's folder or its public one, with every proof verified.

    Proofs are taken from DIR/proofs if there are any, otherwise from a packed aggregate. Raises CampaignError
    if there are neither or a step is to come, VerificationError and DecodeError.
    """
    public = PublicFolder.find(path)
    root = CampaignFolder(public.path.parent) if public.path.name == "public" else None
    if root is not None and root.proofs.is_dir() and any(root.proofs.glob("*.cbor")):
        found = _from_outcomes(root)
    else:
        found = _from_packed(public)
    if root is None or not root.aggregation_key.is_file():
        return found
    data = public.read(AGGREGATION_VERIFIER_KEY)
    if file_digest(data) != found.proceedings.manifest.aggregation_verifier_key_digest:
        raise VerificationError("the manifest was signed for another aggregation verifier key")
    string = AggregationVerifierKey.from_bytes(data)
    return replace(found, aggregation_key=root.aggregation_key, folds_up_to=string.max_proofs)


def _from_outcomes(folder: CampaignFolder) -> Proved:
    collected = collect(folder)
    for index, reason in collected.missing.items():
        raise CampaignError(f"submission {index} has no valid proof, `pvcnn prove` comes first: {reason}")
    if not collected.proofs:
        raise CampaignError("nothing was proved in it")
    folder.public.refuse_strangers(len(collected.proceedings.registry.registrations))
    return Proved(
        folder.public,
        collected.proceedings,
        collected.key,
        collected.statements,
        collected.refusals,
        list(collected.proofs.values()),
        None,
        0,
    )


def _from_packed(public: PublicFolder) -> Proved:
    """What is published verifies, and its aggregate holds the proofs."""
    if not public.file(AGGREGATE).exists():
        raise CampaignError("there are neither proofs nor an aggregate: `pvcnn prove` comes first")
    aggregate = decode_aggregate(public.read(AGGREGATE))
    if not isinstance(aggregate, PackedAggregate):
        raise CampaignError(
            "its proofs are folded and cannot be taken apart: join where DIR/proofs is, or from a folder "
            "aggregated with --scheme packed"
        )
    examined = auditor.examine(public)
    if not examined.verdict.verified:
        raise CampaignError(
            "nothing was proved in it, or a submission has no outcome: `pvcnn prove` comes first"
        )
    verify_aggregate(examined.aggregation_key, examined.key, examined.statements, aggregate)
    proofs = [
        replace(proof, attached=statement)
        for proof, statement in zip(aggregate.contents, examined.statements, strict=True)
    ]
    statements, refusals = (
        {index: public.read_indexed(which, index) for index in sorted(public.indices(which))}
        for which in (STATEMENTS, REFUSALS)
    )
    return Proved(public, examined.proceedings, examined.key, statements, refusals, proofs, None, 0)
