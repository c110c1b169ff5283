"""Owners that evaluated something else than they committed to, caught by evaluating it again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from pvcnn.campaign.audit_choice import AuditChoice
from pvcnn.campaign.audit_report import Status
from pvcnn.campaign.audit_software import Software
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.evaluator import open_evaluator
from pvcnn.campaign.folder import CLUSTER_CARD, ENCRYPTION_PLAN, CampaignFolder
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.owner_audit import audit_owner, open_for_audit
from pvcnn.errors import CampaignError, ParameterError, VerificationError
from pvcnn.he.checks import features_content, read_ciphertexts, write_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.residues import add
from pvcnn.program.private import PrivateConvolution
from tests.attacks.audits import Answering, Lie, with_seed
from tests.attacks.conftest import Stage
from tests.campaign.dishonest import FRAME, edited, encrypted, smuggle
from tests.campaign.tiny import private_part, submit


@pytest.fixture(scope="module")
def _honest(_prepared: Stage, tmp_path_factory: pytest.TempPathFactory) -> Answering:
    """Three submissions, answered: two of an honest tester, and one that nobody can evaluate."""
    stage = _prepared.copied(tmp_path_factory.mktemp("closed") / "campaign")
    submit(stage.folder, stage.fingerprint, testers=1, each=2, seed=3)
    smuggle(stage.folder, "mallory", edited(encrypted(stage.folder, FRAME), content="nonsense"))
    role = OwnerRole.open(stage.folder.root)
    role.close_registry()
    for index in range(3):
        role.infer(index)
    return Answering.of(stage.folder)


@pytest.fixture
def owner(_honest: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """A copy to lie in. Its auditors have the evaluator of the committed private part at hand."""
    folder = Stage(_honest.folder, "").copied(tmp_path / "campaign").folder
    monkeypatch.setattr("pvcnn.campaign.owner_audit.open_evaluator", lambda *_: _honest.evaluator)
    return replace(_honest, folder=folder)


def places(owner: Answering) -> tuple[int, int, int]:
    """Indices of the two that can be evaluated, then of the one that cannot."""
    answers = [owner.proceedings.submission(owner.folder.public, index).answer for index in range(3)]
    first, second, bad = sorted(range(3), key=lambda index: answers[index].refused)
    return first, second, bad


def statuses(owner: Answering, choice: AuditChoice, opening: Any) -> dict[int, Status]:
    report = audit_owner(owner.folder, choice, opening)
    assert report.honest == all(each.status is Status.HONEST for each in report.findings)
    return {each.index: each.status for each in report.findings}


def test_an_honest_owner_passes(owner: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvcnn.campaign.owner_audit.open_evaluator", open_evaluator)
    _, _, bad = places(owner)
    choice = owner.settle()
    opening = open_for_audit(owner.folder, choice)
    assert opening == owner.opening(choice)
    report = audit_owner(owner.folder, choice, opening)
    assert report.honest
    assert "refused again" in report.findings[bad].what
    assert {each.what for each in report.findings if each.index != bad} == {
        "the answer was made again, bit for bit"
    }


def plan_of(owner: Answering) -> EncryptionPlan:
    return EncryptionPlan.from_bytes(owner.folder.public.read(ENCRYPTION_PLAN))


def other_weights(owner: Answering) -> bytes:
    """The same layers with their filters exchanged."""
    private = private_part(1)
    first, *others = private.layers
    assert isinstance(first, PrivateConvolution)
    swapped = PrivateConvolution(first.name, first.weight[::-1].copy(), first.bias[::-1].copy())
    card = ClusterCard.from_bytes(owner.folder.public.read(CLUSTER_CARD))
    evaluator = open_evaluator(owner.folder, card, replace(private, layers=(swapped, *others)))
    assert isinstance(evaluator, Evaluator)
    return evaluator.evaluate(owner.upload(0), owner.frame_seed(0))


def another_function(owner: Answering) -> bytes:
    """Twice the features."""
    plan, content = plan_of(owner), features_content(plan_of(owner))
    context = open_context(plan)
    moduli = plan.data_moduli[: content.primes]
    (pair,) = read_ciphertexts(plan, content, context.parms_id(content.primes), owner.honest(0))
    doubled = np.stack([add(component, component, moduli) for component in pair])
    return write_ciphertexts(plan, content, context.parms_id(content.primes), plan.scale, [doubled])


def another_upload(owner: Answering) -> bytes:
    return owner.evaluator.evaluate(owner.upload(1), owner.frame_seed(0))


def noise_used_again(owner: Answering) -> bytes:
    return owner.evaluator.evaluate(owner.upload(0), owner.frame_seed(1))


def nothing_hidden(owner: Answering) -> bytes:
    with patch.object(Evaluator, "hide", lambda *_: None):
        return owner.honest(0)


@pytest.mark.parametrize(
    "lie", [other_weights, another_function, another_upload, noise_used_again, nothing_hidden]
)
def test_owners_that_lie_are_caught(owner: Answering, lie: Lie) -> None:
    first, second, bad = places(owner)
    order = {0: first, 1: second}
    at = Reordered(owner, order)
    message = lie(at)
    assert message != at.honest(0)
    owner.sign(first, message)
    choice = owner.settle()
    opening = owner.opening(choice)
    expected = {first: Status.DISHONEST, second: Status.HONEST, bad: Status.HONEST}
    for seed in (owner.seed(first), owner.seed(second), owner.frame_seed(second)):
        assert statuses(owner, choice, with_seed(opening, first, seed)) == expected
    with pytest.raises(CampaignError, match=f"submission {first} would not pass"):
        open_for_audit(owner.folder, choice)


class Reordered(Answering):
    """The owner whose submissions 0 and 1 are those that can be evaluated, wherever the registry has them."""

    def __init__(self, owner: Answering, order: dict[int, int]) -> None:
        super().__init__(owner.folder, owner.evaluator, owner.proceedings, owner.audit)
        object.__setattr__(self, "order", order)

    def upload(self, index: int) -> bytes:
        return super().upload(self.order[index])  # type: ignore[attr-defined]

    def frame_seed(self, index: int) -> bytes:
        return super().frame_seed(self.order[index])  # type: ignore[attr-defined]


def test_refusals_without_a_cause_are_caught(owner: Answering) -> None:
    first, second, bad = places(owner)
    owner.sign(first, reason="inconvenient")
    owner.sign(bad, reason="the ciphertext is at another level or key")
    choice = owner.settle()
    report = audit_owner(owner.folder, choice, owner.opening(choice))
    assert {each.index: each.status for each in report.findings} == {
        first: Status.DISHONEST,
        second: Status.HONEST,
        bad: Status.DISHONEST,
    }
    assert "it can be evaluated" in report.findings[first].what
    assert "another one" in report.findings[bad].what


def test_an_answer_to_what_cannot_be_evaluated_is_caught(owner: Answering) -> None:
    first, _, bad = places(owner)
    owner.sign(bad, owner.evaluator.evaluate(owner.upload(first), owner.frame_seed(first)))
    choice = owner.settle()
    assert statuses(owner, choice, owner.opening(choice))[bad] is Status.DISHONEST


def test_a_plan_of_another_private_part_is_caught(owner: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = owner.settle()

    def other_plan(*_: object) -> Evaluator:
        raise ParameterError("the encryption plan was made for another private part")

    monkeypatch.setattr("pvcnn.campaign.owner_audit.open_evaluator", other_plan)
    assert set(statuses(owner, choice, owner.opening(choice)).values()) == {Status.DISHONEST}


def test_other_software_is_no_lie(owner: Answering) -> None:
    first, second, _ = places(owner)
    owner.sign(first, Reordered(owner, {0: first, 1: second}).honest(1))
    choice = owner.settle()
    older = replace(Software.here(), tenseal="0.3.1")
    opening = replace(owner.opening(choice), software=older)
    found = statuses(owner, choice, opening)
    assert found[first] is Status.UNDETERMINED
    assert found[second] is Status.HONEST
    assert not audit_owner(owner.folder, choice, opening).honest


def test_openings_of_something_else_are_refused(owner: Answering) -> None:
    places(owner)
    choice = owner.settle()
    opening = owner.opening(choice)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("another campaign", {"manifest_digest": bytes(32)}),
        ("another record", {"record_digest": bytes(32)}),
        ("another beacon", {"beacon": bytes(16)}),
        ("the beacon chooses", {"values": {0: bytes(32)}}),
        ("the beacon chooses", {"values": {**opening.values, 3: bytes(32)}}),
        ("private part that the owner committed to", {"salt": bytes(32)}),
        ("private part that the owner committed to", {"private_part": private_part(2).to_bytes()}),
        ("another sealing key", {"sealing_key": bytes([7]) * 32}),
    ]
    for reason, changes in wrong:
        with pytest.raises(VerificationError, match=reason):
            audit_owner(owner.folder, choice, replace(opening, **changes))


def test_what_was_lost_is_no_lie(owner: Answering) -> None:
    first, _, _ = places(owner)
    choice = owner.settle()
    opening = owner.opening(choice)
    upload = owner.proceedings.registry.registrations[first].upload_digest
    (owner.folder.mail("owner") / f"{upload.hex()}.sealed").unlink()
    with pytest.raises(CampaignError, match="cannot read"):
        audit_owner(owner.folder, choice, opening)


def test_auditing_writes_nothing(owner: Answering, tmp_path: Path) -> None:
    """And needs nothing that is private."""
    places(owner)
    choice = owner.settle()
    opening = owner.opening(choice)
    shutil.rmtree(owner.folder.root / "private")
    before = sorted(owner.folder.root.rglob("*"))
    assert audit_owner(CampaignFolder(owner.folder.root), choice, opening).honest
    assert sorted(owner.folder.root.rglob("*")) == before
