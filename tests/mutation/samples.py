"""Valid artefacts to mutate: two tiny campaigns and a tiny ceremony, played once into a folder.

ROOT/campaign/   two submissions, one proof each, labels opened
ROOT/count/      two submissions, a count of correct decisions by published weights
ROOT/joint/      both, with one aggregate
ROOT/powers/, ROOT/circuit/   a closed ceremony and its keys
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.signed import SigningKey
from tests.aggregate.vectors import FILE as VECTORS
from tests.aggregate.vectors import artefacts_of


@dataclass(frozen=True)
class Samples:
    """The folder. What needs Torch, Ray or SEAL is only imported to fill it."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Samples:
        """Plays everything; `root` must not exist."""
        from pvcnn.campaign.joint.joiner import Source, join
        from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
        from pvcnn.ceremony.powers_ceremony import PowersCeremony
        from tests.campaign.tiny import play, three_classes
        from tests.ceremony.conftest import (
            DOMAIN_LOG2,
            FIRST_BEACON,
            MAX_PROOFS,
            SECOND_BEACON,
            tiny_program,
        )

        root.mkdir(parents=True)
        play(root / "campaign", testers=2, each=1)
        play(root / "count", testers=1, each=2, public=replace(three_classes(2, "correct"), published=True))
        join([Source(name, root / name) for name in ("campaign", "count")], root / "joint", "snarkpack")
        powers = PowersCeremony.create(root / "powers", DOMAIN_LOG2, MAX_PROOFS)
        powers.contribute("ann")
        powers.close(FIRST_BEACON)
        circuit = CircuitCeremony.create(root / "circuit", root / "powers", tiny_program(), 1)
        circuit.contribute("bob")
        circuit.finalize(circuit.close(SECOND_BEACON))
        (root / "complete").touch()
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> Samples:
        """Those in `root`, made there if it does not exist."""
        if not root.exists():
            return cls.make(root)
        assert (root / "complete").exists(), f"{root} holds no complete samples: remove it"
        return cls(root)

    @cached_property
    def campaign(self) -> CampaignFolder:
        return CampaignFolder(self.root / "campaign")

    @cached_property
    def count(self) -> CampaignFolder:
        return CampaignFolder(self.root / "count")

    @property
    def joint(self) -> Path:
        return self.root / "joint"

    @property
    def powers(self) -> Path:
        return self.root / "powers"

    @property
    def circuit(self) -> Path:
        return self.root / "circuit"

    def public(self, name: str) -> bytes:
        """A public file of the first campaign."""
        return (self.campaign.public.path / name).read_bytes()

    def signing_key(self, role: str) -> SigningKey:
        """Of a role in the first campaign."""
        return Identity.load_from(self.campaign.private(role), "keygen").signing


@cache
def vectors() -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The artefacts of docs/vectors and the valid vectors among them."""
    corpus = json.loads(VECTORS.read_text())
    return artefacts_of(corpus), [each for each in corpus["vectors"] if each["verdict"] == "valid"]
