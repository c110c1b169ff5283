"""A campaign with the keys of a ceremony: four features, one linear layer, two contributors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pvcnn.algebra.points import random_scalar
from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.adopted_keys import adopt_keys
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.program.layers import Flatten, Linear, Sign
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution, PrivatePart, Square
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights
from tests.campaign.tiny import FEATURE_STEP, FRAME_SHAPE, PIXEL_BOUND, prove_all, submit

FEATURES = (1, 2, 2)
FIRST_BEACON, SECOND_BEACON = Beacon(bytes(range(32)), 10), Beacon(bytes(range(1, 33)), 10)
DOMAIN_LOG2, MAX_PROOFS = 7, 2


def private_part() -> PrivatePart:
    kernels = np.random.default_rng(3).uniform(-0.4, 0.4, (1, 1, 3, 3))
    layers = (
        PrivateConvolution("convolution", kernels, np.array([0.1])),
        Square("square"),
        PrivateAveragePool.disjoint("pool", 8),
    )
    return PrivatePart(FRAME_SHAPE, PIXEL_BOUND, layers, FEATURE_STEP, FEATURES)


def public_part(published: bool = False, bias_bits: int = 8) -> PublicPart:
    layers = (Flatten("flatten"), Linear("head", 4, 1, 4, bias_bits), Sign("decision"))
    program = Program.chain(FEATURES, -128, 127, layers)
    weight = {"head": np.array([[3, -5, 7, -2]])}
    weights = Weights(program, weight, {"head": np.array([4])}, random_scalar())
    return replace(PublicPart(program, weights), published=published)


def begin(root: Path, public: PublicPart) -> CampaignFolder:
    """`split` and `keygen`."""
    folder = CampaignFolder.create(root)
    OwnerRole.create(folder).publish_split(private_part(), public)
    make_keys(folder)
    return folder


def hold_ceremony(root: Path, public: PublicPart, frames: int = 1) -> Path:
    """The folder of a finished ceremony by ann and bob; that of the powers lies in `root`, too."""
    powers = PowersCeremony.create(root / "powers", DOMAIN_LOG2, MAX_PROOFS)
    powers.contribute("ann")
    powers.close(FIRST_BEACON)
    return hold_circuit(root, public, frames)


def hold_circuit(root: Path, public: PublicPart, frames: int = 1, name: str = "circuit") -> Path:
    """Another ceremony of a circuit on the powers in `root`."""
    weights = public.weights if public.published else None
    circuit = CircuitCeremony.create(root / name, root / "powers", public.program, frames, weights)
    circuit.contribute("bob")
    circuit.finalize(circuit.close(SECOND_BEACON))
    return root / name


@dataclass(frozen=True)
class Ceremonial:
    """A campaign that was played through, and the ceremony's folder and record."""

    folder: CampaignFolder
    ceremony: Path
    record: CeremonyRecord
    fingerprint: str


def play(root: Path, published: bool = False) -> Ceremonial:
    """A submission in a campaign with a ceremony's keys, proved and aggregated."""
    public = public_part(published)
    folder = begin(root / "campaign", public)
    ceremony = hold_ceremony(root, public)
    record = adopt_keys(folder, ceremony)
    owner = OwnerRole.open(folder.root)
    fingerprint = owner.publish_manifest().cluster_card_digest.hex()
    submit(folder, fingerprint, 1, 1, 1)
    owner.close_registry()
    owner.infer(0)
    assert not prove_all(folder, 1)
    aggregate_campaign(folder)
    return Ceremonial(folder, ceremony, record, fingerprint)
