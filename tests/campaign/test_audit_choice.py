"""What is audited: chosen by a beacon among all that is fixed, and with the stated probability."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from pvcnn.campaign.artefacts.folder import ANSWERS, STATEMENTS, CampaignFolder, PublicDirectory
from pvcnn.campaign.audit.choice import AuditChoice, AuditRecord, chance_of_a_catch, chosen
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.qmp.statement import Statement
from tests.campaign.tiny import Played

BEACON = bytes(range(16))


def test_the_same_beacon_chooses_the_same(played: Played) -> None:
    public = played.folder.public
    four = [AuditChoice.make(public, BEACON, count).indices for count in (1, 2, 3, 4, 100)]
    assert four[3] == four[4] == (0, 1, 2, 3)
    for smaller, larger in pairwise(four):
        assert set(smaller) <= set(larger)
        assert list(larger) == sorted(larger)
    assert AuditChoice.make(public, BEACON, 2).indices == four[1]


def test_beacons_choose_every_submission(played: Played) -> None:
    record = AuditRecord.read(played.folder.public)
    found = [chosen(record, bytes([i]) * 16, 1) for i in range(200)]
    assert {found.count((index,)) for index in range(4)} <= set(range(15, 90))
    pairs = {chosen(record, bytes([i]) * 16, 2) for i in range(200)}
    assert pairs == set(combinations(range(4), 2))


def test_the_record_has_all_that_is_fixed(copy: CampaignFolder) -> None:
    """A statement or an answer with another byte is another record, whatever the beacon makes of it."""
    before = AuditRecord.read(copy.public).digest
    path = copy.public.indexed(STATEMENTS, 1)
    statement = Statement.from_bytes(path.read_bytes())
    other = Statement(statement.features_commitment, (1 - statement.outputs[0],), statement.context)
    path.write_bytes(other.to_bytes())
    assert AuditRecord.read(copy.public).digest != before
    with pytest.raises(VerificationError, match="changed after it was written down"):
        AuditChoice.make(copy.public, BEACON, 1, record_digest=before)
    path.write_bytes(statement.to_bytes())
    assert AuditChoice.make(copy.public, BEACON, 1, record_digest=before).record.digest == before


@pytest.mark.parametrize("which", [ANSWERS, STATEMENTS])
def test_what_is_not_fixed_is_refused_or_left_out(copy: CampaignFolder, which: PublicDirectory) -> None:
    copy.public.indexed(STATEMENTS, 2).unlink()
    if which is ANSWERS:
        copy.public.indexed(ANSWERS, 2).unlink()
    with pytest.raises(CampaignError, match="submission 2 is without an answer or an outcome"):
        AuditChoice.make(copy.public, BEACON, 4)
    choice = AuditChoice.make(copy.public, BEACON, 4, incomplete=True)
    assert choice.indices == (0, 1, 3)
    assert choice.record.missing == (2,)
    assert choice.chance(1) == 1


def test_nothing_to_audit(copy: CampaignFolder) -> None:
    for index in range(4):
        copy.public.indexed(STATEMENTS, index).unlink()
    with pytest.raises(CampaignError, match="nothing to audit"):
        AuditChoice.make(copy.public, BEACON, 4, incomplete=True)


def test_outcomes_of_others_are_refused(copy: CampaignFolder) -> None:
    one, two = (copy.public.indexed(STATEMENTS, index) for index in (1, 2))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    with pytest.raises(VerificationError, match="another submission"):
        AuditRecord.read(copy.public)
    one.write_bytes(kept)
    copy.public.indexed(STATEMENTS, 77).write_bytes(kept)
    with pytest.raises(DecodeError, match="not registered"):
        AuditRecord.read(copy.public)


@pytest.mark.parametrize(("beacon", "count"), [(bytes(15), 1), (bytes(65), 1), (BEACON, 0)])
def test_beacons_and_counts_that_cannot_be(played: Played, beacon: bytes, count: int) -> None:
    with pytest.raises(ValueError, match=r"beacon has|at least one"):
        AuditChoice.make(played.folder.public, beacon, count)


def test_chance_of_a_catch() -> None:
    """By counting all choices."""
    for submissions in range(1, 8):
        for audits in range(submissions + 1):
            choices = list(combinations(range(submissions), audits))
            for lies in range(submissions + 1):
                caught = sum(any(each < lies for each in choice) for choice in choices)
                assert chance_of_a_catch(submissions, audits, lies) == caught / len(choices)
    assert chance_of_a_catch(1000, 50, 1) == 0.05
    with pytest.raises(ValueError, match="cannot be audited"):
        chance_of_a_catch(3, 4, 1)
