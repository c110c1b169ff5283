"""What `verify` says: counts, decisions, and in plain words what was proved and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pvcnn.campaign.artefacts.cut_claims import CutClaims
from pvcnn.campaign.artefacts.revealed import Kind, Revealed
from pvcnn.ceremony.record import CeremonyRecord, describe_setup

#: Digits of a fingerprint that people are shown; the JSON form has all of them.
SHOWN_DIGITS = 16

#: Why the cluster did not prove an answer stays in its own log: the reason could tell of a frame.
CLUSTER_REFUSED = "the cluster could not prove it; the details are in its own log"
NO_OUTCOME = "neither a proof nor a signed refusal"

_PROVED = {
    Kind.DECISIONS: "the decisions are the outputs of the {} public part on the committed features",
    Kind.LOGITS: "the logits are the outputs of the {} public part on the committed features",
    Kind.CORRECT: "the number of correct decisions is the output of the {} public part on the "
    "committed features and labels",
}


class Status(StrEnum):
    """What became of a registered submission. Only `PROVED` is not a failure."""

    PROVED = "proved"
    REFUSED = "refused"
    MISSING = "missing"


@dataclass(frozen=True)
class Outcome:
    """One registered submission.

    tester      SHA-256 of the tester's key, hexadecimal
    decisions   one a frame; empty unless proved, and where they are not revealed
    reason      why there is no proof; empty if proved
    labels      one a frame; None while the tester has not opened them
    logits      integers, frame by frame, where they are revealed
    count       of decisions that are the labels that the tester committed to, where that alone is revealed
    """

    index: int
    tester: str
    status: Status
    decisions: tuple[int, ...] = ()
    reason: str = ""
    labels: tuple[int, ...] | None = None
    logits: tuple[tuple[int, ...], ...] = ()
    count: int | None = None

    @property
    def correct(self) -> int:
        """Frames that were decided as labelled; none of a submission without a proof or opened labels."""
        if self.count is not None:
            return self.count
        if self.labels is None or not self.decisions:
            return 0
        return sum(decision == label for decision, label in zip(self.decisions, self.labels, strict=True))

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "tester": self.tester,
            "status": str(self.status),
            "decisions": list(self.decisions),
            "reason": self.reason,
            "labels": None if self.labels is None else list(self.labels),
            **({"logits": [list(frame) for frame in self.logits]} if self.logits else {}),
            **({} if self.count is None else {"correct": self.count}),
        }


@dataclass(frozen=True)
class Verdict:
    """The result of a verification in which every check held; a check that fails raises instead.

    Digests and fingerprints are hexadecimal SHA-256. features and pixels are per frame. weights: those of the
    public part, "published" or "committed". ceremony: the record of the one that made the keys, with no
    setup_party then. claims: what the owner says of its cut.
    """

    campaign: str
    owner: str
    cluster: str
    setup_party: str
    manifest_digest: str
    registry_digest: str
    revealed: Revealed
    features: int
    pixels: int
    outcomes: tuple[Outcome, ...]
    weights: str = "committed"
    ceremony: CeremonyRecord | None = None
    claims: CutClaims = field(default_factory=CutClaims)

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def registered(self) -> int:
        return len(self.outcomes)

    @property
    def frames(self) -> int:
        """Of one submission."""
        return self.revealed.frames

    @property
    def all_frames(self) -> int:
        """Registered frames."""
        return self.frames * self.registered

    @property
    def proved(self) -> int:
        return self.count(Status.PROVED)

    @property
    def refused(self) -> int:
        return self.count(Status.REFUSED)

    @property
    def missing(self) -> int:
        return self.count(Status.MISSING)

    @property
    def failed(self) -> int:
        """Submissions that count as failures, whatever the reason."""
        return self.refused + self.missing

    @property
    def verified(self) -> bool:
        """Something was proved, and nothing that was registered vanished without a signed refusal."""
        return self.proved > 0 and self.missing == 0

    @property
    def features_per_pixel(self) -> float:
        return self.features / self.pixels

    def by_tester(self) -> dict[str, list[Outcome]]:
        """Outcomes by the tester's fingerprint, in the registry's order."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(outcome.tester, []).append(outcome)
        return groups

    def accuracy(self) -> tuple[int, int]:
        """(correct, labelled): frames decided as labelled, out of those whose label was opened.

        Where only a count is revealed, out of all: each has a label, and without a proof it is not correct.
        """
        if self.revealed.kind is Kind.CORRECT:
            return sum(outcome.correct for outcome in self.outcomes), self.all_frames
        opened = sum(len(outcome.labels) for outcome in self.outcomes if outcome.labels is not None)
        return sum(outcome.correct for outcome in self.outcomes), opened

    def sentences(self) -> list[str]:
        """What was proved and what was not, one statement a line."""
        lines = [
            f"{self.registered} submissions registered, {self.proved} proved: for each of these, "
            f"{_PROVED[self.revealed.kind].format(self.weights)}.",
            *self._of_frames(),
            *self._of_logits(),
            f"{self.refused} refused, {self.missing} missing: these count as failed.",
            f"Registry {self.registry_digest}, signed by owner {self.owner[:SHOWN_DIGITS]}.",
            "Not proved: that those features are the honest decryption of the honest private part; until "
            "that is proved, the cluster could have chosen them.",
            self.setup,
            self.key_matches_program,
            f"privacy against the cluster: not proved. It sees {self.features} features of {self.pixels} "
            f"pixels a frame, a ratio of {self.features_per_pixel:.3g}.",
            *self.claims.sentences(),
            "Not proved: detection quality, and that every submission was let into the registry: "
            "exclusion before it was closed is not prevented.",
        ]
        return lines + self._of_labels()

    def _of_labels(self) -> list[str]:
        """How good the decisions are, by the testers' account."""
        correct, opened = self.accuracy()
        lines = []
        if self.revealed.kind is Kind.CORRECT:
            lines += [
                f"{correct} of {opened} correct: so many decisions are the labels that testers committed to "
                "before; failed ones counted as wrong. The labels are the testers' own claim.",
                "Not proved: that the cluster, which knows the labels, did not choose features to fit them.",
            ]
        elif opened:
            lines.append(
                f"Labels opened by their testers, {opened} of {self.all_frames}: {correct} decided "
                "correctly, failed ones counted as wrong. The labels are the testers' own claim."
            )
        return lines

    @property
    def setup(self) -> str:
        """The line on who made the keys."""
        return describe_setup(self.ceremony, self.setup_party)

    @property
    def key_matches_program(self) -> str:
        """Why one should believe that the key is that of the program, and of weights that are published.

        Those are in the key's points, where nobody sees them who did not run or verify the setup.
        """
        what = "key matches program" + (" and published weights" if self.weights == "published" else "")
        if self.ceremony is None:
            return (
                f"{what}: trusted to {self.setup_party}. "
                "Whoever ran the setup can forge everything, and who that was is not proved."
            )
        return (
            f"{what}: shown by the ceremony's whole transcript (`pvcnn ceremony verify FOLDER` must print "
            "the same digest), not by its record, which was checked here and shows whose secrets are in the "
            "key. All contributors to the powers together, or all to the circuit, can forge everything; "
            "their names are what they call themselves."
        )

    def _of_logits(self) -> list[str]:
        """How to read them."""
        if self.revealed.kind is not Kind.LOGITS:
            return []
        scale = self.revealed.logit_scale
        said = "The owner gives no scale" if scale is None else f"The owner gives their scale as {scale:.6g}"
        return [f"Logits are integers. {said}, which is not proved."]

    def _of_frames(self) -> list[str]:
        """Where a submission has several frames, they are counted too."""
        if self.frames == 1:
            return []
        return [
            f"A submission has {self.frames} frames with one proof: {self.all_frames} frames registered, "
            f"{self.frames * self.proved} proved."
        ]

    def tester_lines(self) -> list[str]:
        """One line a tester: fingerprint, then a decision or failure for each submission."""
        return [
            f"tester {tester[:SHOWN_DIGITS]}: {', '.join(map(self._describe, outcomes))}"
            for tester, outcomes in self.by_tester().items()
        ]

    def to_json(self) -> dict[str, Any]:
        correct, opened = self.accuracy()
        return {
            "verified": self.verified,
            "campaign": self.campaign,
            "owner": self.owner,
            "cluster": self.cluster,
            "setup_party": self.setup_party,
            "setup": self.setup,
            "ceremony": self._ceremony_to_json(),
            "key_matches_program": self.key_matches_program,
            "manifest": self.manifest_digest,
            "registry": self.registry_digest,
            "registered": self.registered,
            "proved": self.proved,
            "refused": self.refused,
            "missing": self.missing,
            "testers": len(self.by_tester()),
            "frames": self.all_frames,
            "frames_per_submission": self.frames,
            "weights": self.weights,
            "reveals": str(self.revealed.kind),
            "class_names": list(self.revealed.names),
            "logit_scale": self.revealed.logit_scale,
            "features_per_pixel": self.features_per_pixel,
            "cut": self.claims.to_json(),
            "labels": {"opened": opened, "correct": correct},
            "submissions": [outcome.to_json() for outcome in self.outcomes],
            "sentences": self.sentences(),
        }

    def _ceremony_to_json(self) -> dict[str, Any] | None:
        if self.ceremony is None:
            return None
        return {"digest": self.ceremony.digest().hex(), "contributors": list(self.ceremony.contributors)}

    def said(self, outcome: Outcome) -> str:
        """What became of a submission: `fake`, `fake+real`, `2 of 3 correct`, `refused: why`."""
        if outcome.status is not Status.PROVED:
            return f"{outcome.status}: {outcome.reason}"
        if outcome.count is not None:
            return f"{outcome.count} of {self.frames} correct"
        return self._names(outcome.decisions)

    def _describe(self, outcome: Outcome) -> str:
        if outcome.status is not Status.PROVED or outcome.labels is None:
            return f"#{outcome.index} {self.said(outcome)}"
        return f"#{outcome.index} {self.said(outcome)} (label: {self._names(outcome.labels)})"

    def _names(self, classes: Sequence[int]) -> str:
        return "+".join(map(self.revealed.name, classes))
