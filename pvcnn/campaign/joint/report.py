"""What `verify` says of a joint folder, beside what it says of each campaign in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pvcnn.aggregate.schemes import Scheme
from pvcnn.campaign.verification.report import SHOWN_DIGITS, Verdict


@dataclass(frozen=True)
class JointVerdict:
    """The result of a verification in which every check held; a check that fails raises instead.

    digest       SHA-256 of joint.cbor, hexadecimal: names the set of campaigns and registries
    campaigns    each with the joiner's name for it
    keys         number of different verification keys
    scheme       how the aggregate was made
    relied_on    names of the campaigns whose manifests name the reference string; empty if it takes none
    """

    digest: str
    campaigns: tuple[tuple[str, Verdict], ...]
    keys: int
    scheme: Scheme
    relied_on: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether each campaign is."""
        return all(verdict.verified for _, verdict in self.campaigns)

    @property
    def proved(self) -> int:
        return sum(verdict.proved for _, verdict in self.campaigns)

    def sentences(self) -> list[str]:
        """What the one aggregate says and what it relies on, one statement a line."""
        registered = sum(verdict.registered for _, verdict in self.campaigns)
        owners = {verdict.owner for _, verdict in self.campaigns}
        shown = ", ".join(sorted(owner[:SHOWN_DIGITS] for owner in owners))
        signed = f"one owner, {shown}" if len(owners) == 1 else f"{len(owners)} owners, {shown}"
        keys = "one verification key" if self.keys == 1 else f"{self.keys} verification keys"
        return [
            f"{len(self.campaigns)} campaigns, {registered} submissions registered, {self.proved} proved: "
            f"one aggregate proves all of these, under {keys}.",
            *self._reliance(),
            f"Joint digest {self.digest}: it names these campaigns and registries, signed by {signed}.",
            "Not proved: that the campaigns belong together, that none is left out, and that their names "
            "here fit. That is the word of whoever joined them.",
        ]

    def _reliance(self) -> list[str]:
        if not self.relied_on:
            return ["The proofs are packed: each campaign relies on its own setup alone."]
        setups = dict.fromkeys(verdict.setup for name, verdict in self.campaigns if name in self.relied_on)
        return [
            f"The proofs are folded under the reference string of {', '.join(self.relied_on)}: whoever knows "
            "its secrets can forge the statements of every campaign here.",
            *(f"Its {setup}" for setup in setups),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "verified": self.verified,
            "joint": self.digest,
            "scheme": self.scheme,
            "verification_keys": self.keys,
            "proved": self.proved,
            "reference_string_of": list(self.relied_on),
            "campaigns": {name: verdict.to_json() for name, verdict in self.campaigns},
            "sentences": self.sentences(),
        }
