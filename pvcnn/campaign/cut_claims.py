"""What the owner says about how much its cut hides from the cluster, and what of that anyone can check.

Figures of attacks are the owner's own measurement, of which only the shapes can be compared with the
campaign's. Rules that the private part fails are compared with what the encryption plan shows of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from pvcnn.campaign.folder import ENCRYPTION_PLAN, LEAK, MANIFEST, PublicFolder
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.signed import file_digest
from pvcnn.errors import VerificationError
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.private_rules import FEWER_FEATURES, NONLINEARITY, RULES

#: Kinds of layers of an encryption plan.
_MIXING: Final = ("convolution", "linear")
_NONLINEAR: Final = ("square", "polynomial")


@dataclass(frozen=True)
class CutClaims:
    """broken_rules: letters of rules that the private part fails. figures: of attacks, if any are given."""

    broken_rules: tuple[str, ...] = ()
    figures: LeakSummary | None = None

    @property
    def warnings(self) -> list[str]:
        """What nobody should pass over before encrypting a frame."""
        if not self.broken_rules:
            return []
        rules = " and ".join(RULES[letter] for letter in self.broken_rules)
        return [
            f"Leaky cut, which the owner accepted: the private part fails {rules}, so that the cluster can "
            "solve for private weights and frames from the features that it decrypts."
        ]

    def sentences(self) -> list[str]:
        """Warnings, and the owner's figures or that there are none, one statement a line."""
        if self.figures is None:
            return [
                *self.warnings,
                "What the features give away: the owner gives no figures of attacks.",
            ]
        return [
            *self.warnings,
            "What the features give away, by the owner's own measurements, of which nothing is proved:",
            *(f"  {line}" for line in self.figures.lines()),
        ]

    def to_json(self) -> dict[str, Any]:
        figures = self.figures
        return {
            "broken_rules": list(self.broken_rules),
            "leak_figures": None if figures is None else asdict(figures) | {"warnings": figures.warnings()},
        }


def read_cut_claims(public: PublicFolder, manifest: Manifest, plan: FramePlan) -> CutClaims:
    """The claims of the manifest and of public/leak.cbor, compared with the plan that the manifest names.

    Raises VerificationError for a file that the manifest does not name or is not the one that it names, for
    figures of another cut, and for a broken rule that the manifest conceals; DecodeError for a malformed
    file; CampaignError for a missing one.
    """
    for letter in visibly_broken(plan):
        if letter not in manifest.broken_rules:
            raise VerificationError(f"the private part fails {RULES[letter]}, which the manifest conceals")
    if not manifest.leak_digest:
        if public.file(LEAK).exists():
            raise VerificationError(f"there is {LEAK.name}, and the manifest names no leak figures")
        return CutClaims(manifest.broken_rules)
    data = public.read(LEAK)
    if file_digest(data) != manifest.leak_digest:
        raise VerificationError(f"{LEAK.name} is not the file that the manifest was signed for")
    figures = LeakSummary.from_bytes(data)
    check_figures(figures, plan)
    return CutClaims(manifest.broken_rules, figures)


def claims_of(public: PublicFolder) -> CutClaims:
    """As `read_cut_claims`, of a campaign that may have no registry yet. Raises what that raises."""
    manifest = Manifest.from_bytes(public.read(MANIFEST))
    data = public.read(ENCRYPTION_PLAN)
    if file_digest(data) != manifest.encryption_plan_digest:
        raise VerificationError("the manifest was signed for another encryption plan")
    return read_cut_claims(public, manifest, read_plan(data))


def check_figures(figures: LeakSummary, plan: FramePlan) -> None:
    """Raises VerificationError if they were measured for other frames or features than the plan's."""
    features: tuple[int, ...] = plan.output_shape
    if len(figures.feature_shape) == 1 and plan.output_shape[1:] == (1, 1):
        features = features[:1]  # (n,) is what the plan calls (n, 1, 1)
    mismatch = figures.mismatch(plan.input_shape, features)
    if mismatch:
        raise VerificationError(mismatch)


def visibly_broken(plan: FramePlan) -> tuple[str, ...]:
    """Letters of rules that a private part with this plan fails, whatever its weights and strides."""
    kinds = plan.layer_kinds
    first = next((i for i, kind in enumerate(kinds) if kind in _MIXING), len(kinds))
    shown = {
        NONLINEARITY: not any(kind in _NONLINEAR for kind in kinds[first:]),
        FEWER_FEATURES: math.prod(plan.output_shape) >= math.prod(plan.input_shape),
    }
    return tuple(letter for letter in RULES if shown[letter])
