"""Roles whose campaign folder somebody else can write: what is put there must not get secrets out of them.

The folder travels between machines of parties who distrust each other. So a role goes by what it signed or
kept itself, by signatures that lead there, and by fingerprints, never by what happens to lie in the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.answer import Answer
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster import ClusterRole
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.evaluator import open_evaluator
from pvcnn.campaign.folder import (
    AGGREGATE,
    ANSWERS,
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    LABELS,
    MANIFEST,
    REGISTRY,
    CampaignFolder,
)
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import answer_info, post, seal
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.owner_secrets import load_private_part
from pvcnn.campaign.registration import Registration
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.signed import SigningKey, file_digest, fingerprint
from pvcnn.campaign.submission import Proceedings
from pvcnn.campaign.tester import TesterRole as RoleOfTester
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import generate
from tests.attacks.conftest import Stage
from tests.campaign.tiny import frames, prove_all

FRAME = frames(1, 5)[0]


def owner_key(folder: CampaignFolder) -> SigningKey:
    return Identity.load_from(folder.private("owner"), "split").signing


def letters(folder: CampaignFolder) -> set[str]:
    return {path.name for path in folder.mail("cluster").iterdir()}


def attackers_card(folder: CampaignFolder, identity: Identity) -> ClusterCard:
    """A card whose CKKS and sealing keys are the attacker's; its evaluation keys replace the cluster's."""
    plan_bytes = folder.public.read(ENCRYPTION_PLAN)
    plan = EncryptionPlan.from_bytes(plan_bytes)
    _, public_key, evaluation_keys = generate(plan)
    evaluation_bytes = evaluation_keys.to_bytes(plan)
    folder.evaluation_keys.write_bytes(evaluation_bytes)
    return ClusterCard(
        signer=identity.signing.public,
        sealing_key=identity.sealing.public,
        encryption_key=public_key.to_bytes(plan),
        encryption_plan_digest=file_digest(plan_bytes),
        evaluation_keys_digest=file_digest(evaluation_bytes),
    ).signed(identity.signing)


class TestOwner:
    """A tester who got an answer under its own keys would solve it for the private weights."""

    def test_a_substituted_card_gets_no_answer(self, answered: Stage) -> None:
        folder = answered.folder
        _forget_answer(folder, 0)
        before = letters(folder)
        card = attackers_card(folder, Identity.generate())
        folder.public.file(CLUSTER_CARD).write_bytes(card.to_bytes())
        with pytest.raises(VerificationError, match="card"):
            OwnerRole.open(folder.root).infer(0)
        assert letters(folder) == before
        assert not folder.public.indexed(ANSWERS, 0).exists()

    def test_a_substituted_manifest_and_registry_get_no_answer(self, answered: Stage) -> None:
        folder, attacker = answered.folder, Identity.generate()
        before = letters(folder)
        card = attackers_card(folder, attacker)
        folder.public.file(CLUSTER_CARD).write_bytes(card.to_bytes())
        _substitute_manifest(folder, attacker, cluster_card_digest=card.digest())
        manifest_digest = file_digest(folder.public.read(MANIFEST))
        original = Registry.from_bytes(folder.public.read(REGISTRY)).registrations[0]
        mine = replace(original, signer=attacker.signing.public, manifest_digest=manifest_digest)
        registry = Registry.close(attacker.signing, manifest_digest, [mine.signed(attacker.signing)])
        folder.public.file(REGISTRY).write_bytes(registry.to_bytes())
        _forget_answer(folder, 0)
        with pytest.raises(VerificationError, match="this owner"):
            OwnerRole.open(folder.root).infer(0)
        assert letters(folder) == before

    def test_no_registry_is_closed_for_a_substituted_manifest(self, prepared: Stage) -> None:
        folder = prepared.folder
        _substitute_manifest(folder, Identity.generate())
        RoleOfTester.create(folder, "early").encrypt(FRAME, 1, prepared.fingerprint)
        with pytest.raises(VerificationError, match="not signed by this owner"):
            OwnerRole.open(folder.root).close_registry()

    def test_a_deleted_answer_is_published_again_and_not_made_again(self, answered: Stage) -> None:
        """Every further answer to one frame would let the cluster average the flooding noise away."""
        folder = answered.folder
        path = folder.public.indexed(ANSWERS, 0)
        before, sent = path.read_bytes(), letters(folder)
        path.unlink()
        OwnerRole.open(folder.root).infer(0)
        assert path.read_bytes() == before
        assert letters(folder) == sent

    def test_a_deleted_registry_is_published_again_and_not_closed_again(self, answered: Stage) -> None:
        """Otherwise whoever can delete the file would get every submission answered anew."""
        folder = answered.folder
        path = folder.public.file(REGISTRY)
        before = path.read_bytes()
        path.unlink()
        RoleOfTester.create(folder, "late").encrypt(FRAME, 1, answered.fingerprint)
        with pytest.raises(CampaignError, match="closed already"):
            OwnerRole.open(folder.root).close_registry()
        assert path.read_bytes() == before

    @pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1]], ids=["empty", "cut"])
    def test_a_broken_card_refuses_no_submission(
        self, answered: Stage, damage: Callable[[bytes], bytes]
    ) -> None:
        """A fault of the folder must not become a refusal that stands for good."""
        folder = answered.folder
        _forget_answer(folder, 0)
        path = folder.public.file(CLUSTER_CARD)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(DecodeError):
            OwnerRole.open(folder.root).infer(0)
        assert not folder.public.indexed(ANSWERS, 0).exists()

    def test_weights_are_not_sealed_to_another_cluster(self, prepared: Stage) -> None:
        """The owner says whose card it expects, as testers do."""
        folder = prepared.folder
        folder.public.file(MANIFEST).unlink()
        folder.sealed_weights.unlink()
        card = attackers_card(folder, Identity.generate())
        folder.public.file(CLUSTER_CARD).write_bytes(card.to_bytes())
        with pytest.raises(VerificationError, match="fingerprint"):
            OwnerRole.open(folder.root).publish_manifest(cluster_fingerprint=prepared.fingerprint)
        assert not folder.sealed_weights.exists()


class TestCluster:
    """An owner learns at most one bit of each frame: one registry, one answer for each submission."""

    def test_a_second_answer_is_not_opened(self, answered: Stage) -> None:
        folder = answered.folder
        ClusterRole.open(folder.root).prove(0)
        proofs = set(folder.proofs.iterdir())
        _answer_again(folder, 0)
        with pytest.raises(VerificationError, match="another answer"):
            ClusterRole.open(folder.root).prove(0)
        assert set(folder.proofs.iterdir()) == proofs

    def test_a_second_registry_is_not_served(self, answered: Stage) -> None:
        folder = answered.folder
        ClusterRole.open(folder.root).prove(0)
        key = owner_key(folder)
        registry = Registry.from_bytes(folder.public.read(REGISTRY))
        second = replace(registry, registrations=registry.registrations[:1]).signed(key)
        folder.public.file(REGISTRY).write_bytes(second.to_bytes())
        with pytest.raises(VerificationError, match="another registry"):
            ClusterRole.open(folder.root)

    def test_the_same_registry_is_served_again(self, answered: Stage) -> None:
        assert not prove_all(answered.folder, 2)
        assert ClusterRole.open(answered.folder.root).prove(1) == {}


class TestTester:
    def test_a_substituted_manifest_gets_no_upload(self, prepared: Stage) -> None:
        """The cluster would open what is sealed to a key of its own, and then decrypt the frame."""
        folder, cluster = prepared.folder, Identity.generate()
        expected = OwnerRole.open(folder.root).fingerprint
        _substitute_manifest(folder, cluster, owner_sealing_key=cluster.sealing.public)
        tester = RoleOfTester.create(folder, "careful")
        with pytest.raises(VerificationError, match="another owner"):
            tester.encrypt(FRAME, 1, prepared.fingerprint, owner_fingerprint=expected)
        assert not list(folder.mail("owner").iterdir())

    def test_the_real_manifest_does(self, prepared: Stage) -> None:
        folder = prepared.folder
        expected = OwnerRole.open(folder.root).fingerprint
        assert expected == fingerprint(owner_key(folder).public)
        tester = RoleOfTester.create(folder, "careful")
        done = tester.encrypt(FRAME, 1, prepared.fingerprint, owner_fingerprint=f" {expected.upper()}\n")
        assert isinstance(done, Registration)

    def test_labels_stay_closed_until_an_aggregate_verifies(self, answered: Stage) -> None:
        """A file of that name is no proof: the cluster could still choose decisions by the labels."""
        folder = answered.folder
        tester = RoleOfTester.open(folder, "0")
        folder.public.file(AGGREGATE).write_bytes(b"soon")
        with pytest.raises((VerificationError, DecodeError)):
            tester.open_labels()
        folder.public.file(AGGREGATE).unlink()
        ClusterRole.open(folder.root).prove(0)
        aggregate_campaign(folder)
        assert tester.open_labels() == 1
        assert folder.public.indices(LABELS) == {0}
        ClusterRole.open(folder.root).prove(1)
        aggregate_campaign(folder)
        assert tester.open_labels() == 2


def _forget_answer(folder: CampaignFolder, index: int) -> None:
    """As if the owner had not come to this submission yet."""
    folder.public.indexed(ANSWERS, index).unlink()
    (folder.remembered("owner") / f"answer-{index:06d}.cbor").unlink()


def _substitute_manifest(folder: CampaignFolder, attacker: Identity, **changes: bytes) -> None:
    manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
    forged = replace(manifest, signer=attacker.signing.public, **changes)  # type: ignore[arg-type]
    folder.public.file(MANIFEST).write_bytes(forged.signed(attacker.signing).to_bytes())


def _answer_again(folder: CampaignFolder, index: int) -> None:
    """A curious owner: evaluates something else on the same upload and signs a second answer."""
    proceedings = Proceedings.read(folder.public)
    place = (proceedings.manifest.digest(), proceedings.registry.digest(), index)
    sealing = Identity.load_from(folder.private("owner"), "split").sealing
    registration = proceedings.registry.registrations[index]
    upload = open_upload(folder.mail("owner"), sealing, place[0], registration)
    card = ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD))
    evaluator = open_evaluator(folder, card, load_private_part(folder.private("owner")))
    assert isinstance(evaluator, Evaluator)
    messages = tuple(evaluator.evaluate(message, bytes(32)) for message in Batch.from_bytes(upload).messages)
    result = Batch(messages).to_bytes()
    digest = post(folder.mail("cluster"), seal(card.sealing_key, result, answer_info(*place)))
    key = owner_key(folder)
    answer = Answer(
        signer=key.public,
        manifest_digest=place[0],
        registry_digest=place[1],
        index=index,
        answer_digest=digest,
        features_digest=file_digest(result),
    )
    folder.public.indexed(ANSWERS, index).write_bytes(answer.signed(key).to_bytes())
