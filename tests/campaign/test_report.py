"""The verdict's words and numbers."""

from __future__ import annotations

import json

from pvcnn.campaign.artefacts.revealed import TWO_CLASSES, Kind, Revealed
from pvcnn.campaign.verification.report import Outcome, Status, Verdict


def verdict(*outcomes: Outcome, frames: int = 1, revealed: Revealed | None = None) -> Verdict:
    return Verdict(
        campaign="c" * 64,
        owner="a" * 64,
        cluster="b" * 64,
        setup_party="owner",
        manifest_digest="d" * 64,
        registry_digest="e" * 64,
        revealed=revealed or Revealed(Kind.DECISIONS, frames, 1, TWO_CLASSES),
        features=2048,
        pixels=4096,
        outcomes=outcomes,
    )


PROVED = Outcome(0, "1" * 64, Status.PROVED, (1,), labels=(1,))
WRONG = Outcome(1, "1" * 64, Status.PROVED, (0,), labels=(1,))
UNLABELLED = Outcome(2, "2" * 64, Status.PROVED, (0,))
REFUSED = Outcome(3, "2" * 64, Status.REFUSED, reason="why", labels=(0,))
MISSING = Outcome(4, "3" * 64, Status.MISSING, reason="gone")


def test_counts() -> None:
    result = verdict(PROVED, WRONG, UNLABELLED, REFUSED, MISSING)
    assert (result.registered, result.proved, result.refused, result.missing, result.failed) == (
        5,
        3,
        1,
        1,
        2,
    )
    assert result.accuracy() == (1, 3)
    assert list(map(len, result.by_tester().values())) == [2, 2, 1]


def test_missing_submissions_and_empty_campaigns_are_not_verified() -> None:
    assert verdict(PROVED, REFUSED).verified
    assert not verdict(PROVED, MISSING).verified
    assert not verdict(REFUSED).verified
    assert not verdict().verified


def test_the_words() -> None:
    text = "\n".join(verdict(PROVED, REFUSED).sentences())
    for words in (
        "2 submissions registered, 1 proved: for each of these, the decisions are the outputs of the "
        "committed public part on the committed features.",
        "1 refused, 0 missing: these count as failed.",
        "Registry " + "e" * 64,
        "Not proved: that those features are the honest decryption of the honest private part;",
        "setup: single party owner: do not rely on it against owner",
        "key matches program: trusted to owner.",
        "Whoever ran the setup can forge everything",
        "privacy against the cluster: not proved.",
        "2048 features of 4096 pixels a frame, a ratio of 0.5",
        "exclusion before it was closed is not prevented",
        "testers' own claim",
    ):
        assert words in text
    assert "testers' own claim" not in "\n".join(verdict(UNLABELLED).sentences())


def test_lines_for_testers() -> None:
    lines = verdict(PROVED, UNLABELLED, REFUSED).tester_lines()
    assert lines == [
        f"tester {'1' * 16}: #0 fake (label: fake)",
        f"tester {'2' * 16}: #2 real, #3 refused: why",
    ]


def test_json() -> None:
    result = verdict(PROVED, MISSING).to_json()
    assert json.loads(json.dumps(result)) == result
    assert result["verified"] is False
    assert (result["frames"], result["frames_per_submission"]) == (2, 1)
    assert result["submissions"][1]["status"] == "missing"


class TestBatches:
    """Submissions of three frames: decisions, labels and accuracy are those of frames."""

    PROVED = Outcome(0, "1" * 64, Status.PROVED, (1, 0, 1), labels=(1, 1, 1))
    REFUSED = Outcome(1, "2" * 64, Status.REFUSED, reason="why", labels=(0, 0, 1))
    UNLABELLED = Outcome(2, "2" * 64, Status.PROVED, (0, 0, 0))

    def test_accuracy_is_over_frames(self) -> None:
        result = verdict(self.PROVED, self.REFUSED, self.UNLABELLED, frames=3)
        assert result.accuracy() == (2, 6)
        assert (result.registered, result.all_frames) == (3, 9)
        report = result.to_json()
        assert (report["frames"], report["frames_per_submission"]) == (9, 3)
        assert report["labels"] == {"opened": 6, "correct": 2}
        assert report["submissions"][0]["labels"] == [1, 1, 1]
        assert report["submissions"][2]["labels"] is None

    def test_the_words_count_both(self) -> None:
        text = "\n".join(verdict(self.PROVED, self.REFUSED, self.UNLABELLED, frames=3).sentences())
        assert "3 submissions registered, 2 proved" in text
        assert "3 frames with one proof: 9 frames registered, 6 proved." in text
        assert "Labels opened by their testers, 6 of 9: 2 decided correctly" in text
        assert "with one proof" not in "\n".join(verdict(PROVED).sentences())

    def test_lines_for_testers(self) -> None:
        lines = verdict(self.PROVED, frames=3).tester_lines()
        assert lines == [f"tester {'1' * 16}: #0 fake+real+fake (label: fake+fake+fake)"]
