"""Clusters that proved about other features than they decrypted, caught by decrypting again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.campaign.artefacts.answer import ClusterRefusal
from pvcnn.campaign.artefacts.folder import ENCRYPTION_PLAN, REFUSALS, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.audit.choice import AuditChoice
from pvcnn.campaign.audit.cluster import audit_cluster, open_for_audit
from pvcnn.campaign.audit.opening import ClusterOpening, encoded_blinding
from pvcnn.campaign.audit.report import AuditReport, Status
from pvcnn.campaign.audit.software import Software
from pvcnn.campaign.roles.cluster import ClusterRole
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.evaluator import read_card, read_evaluation_keys
from pvcnn.errors import CampaignError, RangeError, SubmissionRefused, VerificationError
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import SecretKey
from pvcnn.he.residues import add, subtract
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.commitments import commit_features
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.statement import Statement
from tests.attacks.audits import BEACON, Answering
from tests.attacks.conftest import Stage
from tests.campaign.tiny import FEATURES


def publish(folder: CampaignFolder, index: int, outcome: ClusterOutcome) -> None:
    """As the aggregator does."""
    which, data = (
        (STATEMENTS, outcome.proof.statement.to_bytes())
        if outcome.proof is not None
        else (REFUSALS, outcome.refusal.to_bytes() if outcome.refusal else b"")
    )
    path = folder.public.indexed(which, index)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def _proved(_answered: Stage, tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """The owner sealed other features to the cluster than it signed, for 0; 1 is proved."""
    folder = _answered.copied(tmp_path_factory.mktemp("proved") / "campaign").folder
    owner = Answering.of(folder)
    owner.sign(0, owner.honest(0), signed=owner.honest(1))
    cluster = ClusterRole.open(folder.root)
    with pytest.raises(SubmissionRefused):
        cluster.prove(0)
    assert "not those that the owner signed" in (folder.private("cluster") / "refusals.log").read_text()
    cluster.prove(1)
    for index in range(2):
        path = folder.outcome(owner.proceedings.submission(folder.public, index).context)
        publish(folder, index, ClusterOutcome.from_bytes(path.read_bytes()))
    return folder


@pytest.fixture
def folder(_proved: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    return Stage(_proved, "").copied(tmp_path / "campaign").folder


def choose(folder: CampaignFolder) -> AuditChoice:
    return AuditChoice.make(folder.public, BEACON, 100)


def opened(folder: CampaignFolder) -> ClusterOpening:
    """As an honest cluster opens, without trying it first."""
    choice, kept = choose(folder), ClusterSecrets.load_from(folder.private("cluster"))
    contexts = {index: choice.record.fixed[index].submission.context for index in choice.indices}
    return ClusterOpening(
        manifest_digest=choice.proceedings.manifest.digest(),
        record_digest=choice.record.digest,
        beacon=BEACON,
        software=Software.here(),
        sealing_key=kept.identity.sealing.to_bytes(),
        values={i: encoded_blinding(kept.audit.features_blinding(contexts[i])) for i in contexts},
        decryption_key=kept.decryption_key,
    )


def audit(folder: CampaignFolder, **changes: Any) -> AuditReport:
    return audit_cluster(folder, choose(folder), replace(opened(folder), **changes))


def test_an_honest_cluster_passes(folder: CampaignFolder) -> None:
    opening = open_for_audit(folder, choose(folder))
    assert opening == opened(folder)
    shutil.rmtree(folder.root / "private")
    before = sorted(folder.root.rglob("*"))
    report = audit_cluster(folder, choose(folder), opening)
    assert report.honest
    assert "refused again: the sealed features are not those" in report.findings[0].what
    assert "commits to these features" in report.findings[1].what
    assert sorted(folder.root.rglob("*")) == before


def claim(folder: CampaignFolder, index: int, features: NDArray[np.int64], blinding: int) -> None:
    """A statement, as if it were proved, about features of the cluster's choice."""
    proved = Statement.from_bytes(folder.public.read_indexed(STATEMENTS, 1))
    context = choose(folder).record.fixed[index].submission.context
    commitment = commit_features(ProvingKey.load(folder.proving_key), features, blinding)
    statement = Statement(commitment, proved.outputs, context)
    folder.public.indexed(REFUSALS, index).unlink(missing_ok=True)
    folder.public.indexed(STATEMENTS, index).write_bytes(statement.to_bytes())


@pytest.mark.parametrize("index", [0, 1])
def test_chosen_features_are_caught(folder: CampaignFolder, index: int) -> None:
    """Also where the answer does not open, and any features would do."""
    choice = choose(folder)
    secret = ClusterSecrets.load_from(folder.private("cluster")).audit
    blinding = secret.features_blinding(choice.record.fixed[index].submission.context)
    claim(folder, index, np.zeros((1, *FEATURES), np.int64), blinding)
    report = audit(folder)
    assert [each.status for each in report.findings if each.index == index] == [Status.DISHONEST]
    assert [each.status for each in report.findings if each.index != index] == [Status.HONEST]
    with pytest.raises(CampaignError, match=f"submission {index} would not pass"):
        open_for_audit(folder, choose(folder))


def test_another_blinding_opens_nothing(folder: CampaignFolder) -> None:
    values = opened(folder).values
    for number in (0, 1, int.from_bytes(values[1], "little") ^ 1):
        report = audit(folder, values={**values, 1: encoded_blinding(number)})
        assert [each.status for each in report.findings] == [Status.HONEST, Status.DISHONEST]
    other = audit(
        folder,
        values={**values, 1: encoded_blinding(1)},
        software=replace(Software.here(), numpy="1.0"),
    )
    assert [each.status for each in other.findings] == [Status.HONEST, Status.UNDETERMINED]
    assert not other.honest


def refuse(folder: CampaignFolder, index: int) -> None:
    key = Identity.load_from(folder.private("cluster"), "keygen").signing
    context = choose(folder).record.fixed[index].submission.context
    folder.public.indexed(STATEMENTS, index).unlink()
    refusal = ClusterRefusal(signer=key.public, context=context).signed(key)
    publish(folder, index, ClusterOutcome(refusal=refusal))


def test_refusals_without_a_cause_are_caught(folder: CampaignFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(folder, 1)
    report = audit(folder)
    assert [each.status for each in report.findings] == [Status.HONEST, Status.DISHONEST]
    assert report.findings[1].what == "refused, and it can be proved"

    def out_of_range(*arguments: object) -> None:
        raise RangeError("layer 3, value 12345")

    monkeypatch.setattr(PublicPart, "__call__", out_of_range)
    report = audit(folder)
    assert report.honest
    assert "12345" not in report.findings[1].what, "values stay with the auditor"


def test_evaluation_keys_that_move_features_are_caught(
    folder: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the card had always named them: everything else is as the answers say."""
    plan = EncryptionPlan.from_bytes(folder.public.read(ENCRYPTION_PLAN))
    keys = read_evaluation_keys(folder, read_card(folder.public), plan)
    body = keys.bodies[-1].copy()
    body[0] = add(body[0], np.full_like(body[0], 1 << 30), plan.key_moduli(plan.keys[-1]))
    forged = replace(keys, bodies=(*keys.bodies[:-1], body))
    with monkeypatch.context() as patched:
        patched.setattr("pvcnn.campaign.audit.cluster.read_evaluation_keys", lambda *_: forged)
        report = audit(folder)
        assert {each.status for each in report.findings} == {Status.DISHONEST}
        assert "was not made with the cluster's secret key" in report.findings[0].what
        other = audit(folder, software=replace(Software.here(), numpy="1.0"))
        assert {each.status for each in other.findings} == {Status.DISHONEST}
        with pytest.raises(CampaignError, match="would not pass"):
            open_for_audit(folder, choose(folder))
    folder.evaluation_keys.write_bytes(forged.to_bytes(plan))
    with pytest.raises(VerificationError, match="not those on the cluster's card"):
        audit(folder)


def test_openings_of_something_else_are_refused(folder: CampaignFolder) -> None:
    plan = EncryptionPlan.from_bytes(folder.public.read(ENCRYPTION_PLAN))
    key = SecretKey.from_bytes(plan, opened(folder).decryption_key).polynomial
    negated = SecretKey(plan.digest, subtract(np.zeros_like(key), key, plan.moduli))
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("another campaign", {"manifest_digest": bytes(32)}),
        ("another record", {"record_digest": bytes(32)}),
        ("another beacon", {"beacon": bytes(16)}),
        ("the beacon chooses", {"values": {1: bytes(32)}}),
        ("another sealing key", {"sealing_key": bytes([7]) * 32}),
        ("not that of the encryption key", {"decryption_key": negated.to_bytes(plan)}),
    ]
    for reason, changes in wrong:
        with pytest.raises(VerificationError, match=reason):
            audit(folder, **changes)
