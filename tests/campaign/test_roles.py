"""The roles: their order, what each refuses, and what it leaves behind when it does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cbor2
import pytest

from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    ANSWERS,
    CLUSTER_CARD,
    ENCRYPTION_PLAN,
    LABELS,
    MANIFEST,
    REGISTRY,
    STATEMENTS,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.mail import post, seal, weights_info
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import SigningKey
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.admission import post_registration
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import ClusterRole, make_keys
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.prover import SubmissionProver
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.roles.tester import TesterRole as RoleOfTester
from pvcnn.campaign.verification.auditor import verify
from pvcnn.errors import CampaignError, RangeError, SubmissionRefused, VerificationError
from pvcnn.he.keys import generate
from pvcnn.qmp.prepared_key import prepared_path
from tests.campaign.dishonest import FRAME, encrypted, plan_of, smuggle
from tests.campaign.hostile import flipped
from tests.campaign.tiny import PIXEL_BOUND, Played, private_part, prove_all, public_part


class TestOrder:
    def test_steps_before_their_time_name_the_step_that_is_missing(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        root = folder.root

        def expect(step: str, action: Callable[[], object]) -> None:
            with pytest.raises(CampaignError, match=f"`pvcnn {step}`"):
                action()

        expect("split", lambda: OwnerRole.open(root))
        expect("split", lambda: make_keys(folder))
        expect("split", lambda: run_setup(folder, 2))
        owner = OwnerRole.create(folder)
        owner.publish_split(private_part(1), public_part(1))
        expect("keygen", owner.publish_manifest)
        expect("setup", lambda: verify(root))
        fingerprint = make_keys(folder).fingerprint
        expect("setup", owner.publish_manifest)
        tester = RoleOfTester.create(folder, "early")
        expect("setup", lambda: tester.encrypt(FRAME, 1, fingerprint))
        expect("setup", owner.close_registry)
        run_setup(folder, 2)
        owner.publish_manifest("a notary")
        expect("encrypt", owner.close_registry)
        expect("infer", lambda: owner.infer(0))
        expect("infer", lambda: verify(root))
        tester.encrypt(FRAME, 1, fingerprint)
        OwnerRole.open(root).close_registry()
        expect("infer", lambda: ClusterRole.open(root).prove(0))
        owner.infer(0)
        expect("aggregate", lambda: verify(root))
        expect("prove", lambda: aggregate_campaign(folder))
        prove_all(folder, 1)
        expect("aggregate", tester.open_labels)
        aggregate_campaign(folder)
        assert verify(root).setup_party == "a notary"

    def test_steps_run_once(self, copy: CampaignFolder) -> None:
        owner = OwnerRole.open(copy.root)
        card = copy.public.read(CLUSTER_CARD)
        for action in (
            lambda: OwnerRole.create(copy),
            lambda: owner.publish_split(private_part(1), public_part(1)),
            lambda: make_keys(copy),
            lambda: run_setup(copy, 2),
            owner.publish_manifest,
            owner.close_registry,
            lambda: RoleOfTester.create(copy, "0"),
        ):
            with pytest.raises(CampaignError):
                action()
        assert copy.public.read(CLUSTER_CARD) == card
        assert verify(copy.root).verified

    def test_no_tester_comes_after_the_registry_is_closed(self, copy: CampaignFolder) -> None:
        fingerprint = verify(copy.root).cluster
        with pytest.raises(CampaignError, match="closed"):
            RoleOfTester.open(copy, "0").encrypt(FRAME, 0, fingerprint)

    def test_a_submission_is_answered_once(self, copy: CampaignFolder) -> None:
        before = copy.public.read_indexed(ANSWERS, 1)
        letters = sorted(copy.mail("cluster").iterdir())
        answer = OwnerRole.open(copy.root).infer(1)
        assert answer.to_bytes() == before == copy.public.read_indexed(ANSWERS, 1)
        assert sorted(copy.mail("cluster").iterdir()) == letters

    def test_indices_beyond_the_registry(self, copy: CampaignFolder) -> None:
        for action in (OwnerRole.open(copy.root).infer, ClusterRole.open(copy.root).prove):
            with pytest.raises(ValueError, match="no submission 4"):
                action(4)

    def test_the_cluster_cannot_be_the_setup_party(self, fresh: tuple[CampaignFolder, str]) -> None:
        fresh[0].public.file(MANIFEST).unlink()
        with pytest.raises(ValueError, match="forge"):
            OwnerRole.open(fresh[0].root).publish_manifest("cluster")

    def test_no_more_submissions_than_can_be_aggregated(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        owner = OwnerRole.create(folder)
        owner.publish_split(private_part(1), public_part(1))
        fingerprint = make_keys(folder).fingerprint
        run_setup(folder, 2)
        owner.publish_manifest()
        tester = RoleOfTester.create(folder, "keen")
        for _ in range(3):
            tester.encrypt(FRAME, 1, fingerprint)
        with pytest.raises(CampaignError, match=r"3 submissions .* made for 2"):
            owner.close_registry()


class TestTester:
    def test_a_wrong_fingerprint_stops_encryption(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = fresh
        tester = RoleOfTester.create(folder, "careful")
        with pytest.raises(VerificationError, match="fingerprint"):
            tester.encrypt(FRAME, 1, "0" * 64)
        assert not list(folder.mail("owner").iterdir())
        tester.encrypt(FRAME, 1, f" {fingerprint.upper()}\n")

    def test_an_owner_cannot_put_its_own_encryption_key_there(
        self, fresh: tuple[CampaignFolder, str]
    ) -> None:
        """A card of the owner's making, with a manifest signed for it, would let it read frames."""
        folder, fingerprint = fresh
        plan = plan_of(folder)
        _, substitute, _ = generate(plan)
        key = SigningKey.generate()
        card = cbor2.loads(cbor2.loads(folder.public.read(CLUSTER_CARD))["body"])
        forged = replace(
            ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD)),
            signer=key.public,
            encryption_key=substitute.to_bytes(plan),
        ).signed(key)
        assert card["encryption_key"] != forged.encryption_key
        folder.public.file(CLUSTER_CARD).write_bytes(forged.to_bytes())
        owner = Identity.load_from(folder.private("owner"), "split").signing
        manifest = replace(
            Manifest.from_bytes(folder.public.read(MANIFEST)), cluster_card_digest=forged.digest()
        )
        folder.public.file(MANIFEST).write_bytes(manifest.signed(owner).to_bytes())
        with pytest.raises(VerificationError, match="fingerprint"):
            RoleOfTester.create(folder, "careful").encrypt(FRAME, 1, fingerprint)

    def test_frames_and_labels_that_cannot_be(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = fresh
        tester = RoleOfTester.create(folder, "careless")
        with pytest.raises(ValueError, match="label"):
            tester.encrypt(FRAME, 2, fingerprint)
        with pytest.raises(ValueError, match="shape"):
            tester.encrypt(FRAME[:, :8], 1, fingerprint)
        with pytest.raises(RangeError):
            tester.encrypt(FRAME * 0 + 2 * PIXEL_BOUND, 1, fingerprint)
        assert not list(folder.mail("owner").iterdir())

    def test_frames_without_their_manifest_or_plan_are_not_encrypted(
        self, fresh: tuple[CampaignFolder, str]
    ) -> None:
        folder, fingerprint = fresh
        path = folder.public.file(ENCRYPTION_PLAN)
        path.write_bytes(flipped(path.read_bytes(), 100))
        with pytest.raises(VerificationError, match="encryption plan"):
            RoleOfTester.create(folder, "careful").encrypt(FRAME, 1, fingerprint)


class TestAdmission:
    def turned_away(self, folder: CampaignFolder, **arguments: set[bytes]) -> list[str]:
        registry, turned_away = OwnerRole.open(folder.root).close_registry(**arguments)
        assert len(registry.registrations) == 1
        return [each.reason for each in turned_away]

    def test_a_copied_upload_is_turned_away(self, fresh: tuple[CampaignFolder, str]) -> None:
        """The copier registers another's blob as its own: the blob opens for its first sender only."""
        folder, fingerprint = fresh
        first = RoleOfTester.create(folder, "first").encrypt(FRAME, 1, fingerprint)
        copier = SigningKey.generate()
        copied = Registration(
            signer=copier.public,
            manifest_digest=first.manifest_digest,
            upload_digest=first.upload_digest,
            nonce=first.nonce,
            label_commitment=first.label_commitment,
        ).signed(copier)
        post_registration(folder.mail("owner"), copied)
        assert self.turned_away(folder) == ["a sealed blob does not open"]
        registry = Registry.from_bytes(folder.public.read(REGISTRY))
        assert registry.registrations == (first,)

    def test_a_ciphertext_sealed_twice_is_admitted_once(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, _ = fresh
        ciphertext = encrypted(folder, FRAME)
        smuggle(folder, "once", ciphertext)
        smuggle(folder, "twice", ciphertext)
        assert self.turned_away(folder) == ["the same ciphertext is registered already"]

    def test_registrations_that_do_not_hold(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = fresh
        box = folder.mail("owner")
        good = RoleOfTester.create(folder, "good").encrypt(FRAME, 1, fingerprint)
        elsewhere = SigningKey.generate()
        foreign = Registration(
            signer=elsewhere.public,
            manifest_digest=b"z" * 32,
            upload_digest=good.upload_digest,
            nonce=good.nonce,
            label_commitment=good.label_commitment,
        )
        post_registration(box, foreign.signed(elsewhere))
        (box / "0-damaged.registration.cbor").write_bytes(flipped(good.to_bytes(), 200))
        (box / "1-hostile.registration.cbor").write_bytes(b"\xff" * 5000)
        undelivered = RoleOfTester.create(folder, "lost").encrypt(FRAME, 0, fingerprint)
        (box / f"{undelivered.upload_digest.hex()}.sealed").unlink()
        changed = RoleOfTester.create(folder, "changed").encrypt(FRAME, 0, fingerprint)
        path = box / f"{changed.upload_digest.hex()}.sealed"
        path.write_bytes(flipped(path.read_bytes(), 1000))
        reasons = "; ".join(self.turned_away(folder))
        for words in ("another campaign", "signature", "5000|bytes", "cannot read", "was changed"):
            assert any(word in reasons for word in words.split("|")), reasons

    def test_only_admitted_testers_get_in(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = fresh
        invited, stranger = (RoleOfTester.create(folder, name) for name in ("invited", "stranger"))
        for tester in (invited, stranger):
            tester.encrypt(FRAME, 1, fingerprint)
        assert self.turned_away(folder, testers={invited.public_key}) == [
            "the owner does not admit this tester"
        ]


class TestCluster:
    def test_proving_twice_leaves_the_first_proof(self, copy: CampaignFolder) -> None:
        before = {path.name: path.read_bytes() for path in copy.proofs.iterdir()}
        assert ClusterRole.open(copy.root).prove(1) == {}
        assert before == {path.name: path.read_bytes() for path in copy.proofs.iterdir()}

    def test_the_proving_key_is_checked_by_the_first_prover_only(
        self, copy: CampaignFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(key: object) -> None:
            raise AssertionError("checked again")

        ClusterRole.open(copy.root)
        prepared = prepared_path(copy.private("cluster"))
        written = prepared.read_bytes()
        monkeypatch.setattr("pvcnn.qmp.prepared_key.check_proving_key", refuse)
        ClusterRole.open(copy.root)
        assert prepared.read_bytes() == written
        prepared.write_bytes(written[:-1])
        with pytest.raises(AssertionError, match="checked again"):
            ClusterRole.open(copy.root)

    def test_a_prover_without_the_private_directory_keeps_nothing(self, copy: CampaignFolder) -> None:
        """As on another machine, to which the secrets were sent."""
        secrets = ClusterSecrets.load_from(copy.private("cluster"))
        shutil.rmtree(copy.root / "private")
        assert SubmissionProver.open(copy.root, secrets).examine(1).outcome
        assert not (copy.root / "private").exists()

    def test_two_proofs_of_one_submission_are_unlike(self, copy: CampaignFolder, played: Played) -> None:
        """D_in follows from the submission, for audits; all that proves it is blinded afresh."""
        submission = Proceedings.read(copy.public).submission(copy.public, 1)
        path = copy.outcome(submission.context)
        before = cbor2.loads(path.read_bytes())
        path.unlink()
        seconds = ClusterRole.open(copy.root).prove(1)
        assert set(seconds) == {"decrypt", "prove"}
        after = cbor2.loads(path.read_bytes())
        assert before["statement"] == after["statement"]
        assert before["proof"] != after["proof"]
        aggregate_campaign(copy)
        assert verify(copy.root).outcomes[1].decisions == verify(played.folder.root).outcomes[1].decisions

    def test_mail_that_was_changed_on_its_way_is_no_ones_refusal(self, copy: CampaignFolder) -> None:
        submission = Proceedings.read(copy.public).submission(copy.public, 1)
        copy.outcome(submission.context).unlink()
        path = copy.mail("cluster") / f"{submission.answer.answer_digest.hex()}.sealed"
        original = path.read_bytes()
        path.write_bytes(flipped(original, 500))
        cluster = ClusterRole.open(copy.root)
        with pytest.raises(CampaignError, match="deliver it again"):
            cluster.prove(1)
        path.unlink()
        with pytest.raises(CampaignError):
            cluster.prove(1)
        path.write_bytes(original)
        assert cluster.prove(1)

    def test_an_answer_sealed_for_another_submission_does_not_open(self, copy: CampaignFolder) -> None:
        """An owner who signs, for submission 1, the blob that answers submission 0."""
        owner = Identity.load_from(copy.private("owner"), "split").signing
        proceedings = Proceedings.read(copy.public)
        first, second = (proceedings.submission(copy.public, index).answer for index in (0, 1))
        crossed = replace(second, answer_digest=first.answer_digest).signed(owner)
        copy.public.indexed(ANSWERS, 1).write_bytes(crossed.to_bytes())
        copy.outcome(proceedings.submission(copy.public, 1).context).unlink(missing_ok=True)
        (copy.remembered("cluster") / "answer-000001").unlink()  # as if it were the first answer
        with pytest.raises(SubmissionRefused):
            ClusterRole.open(copy.root).prove(1)
        assert "does not open" in (copy.private("cluster") / "refusals.log").read_text()

    def test_weights_that_are_not_the_committed_ones_are_refused(self, copy: CampaignFolder) -> None:
        """Anyone can seal to the cluster; D_w says which weights are the owner's."""
        card = ClusterCard.from_bytes(copy.public.read(CLUSTER_CARD))
        digest = Manifest.from_bytes(copy.public.read(MANIFEST)).digest()
        others = public_part(1).weights.to_bytes()  # the same weights under another blinding
        copy.sealed_weights.write_bytes(seal(card.sealing_key, others, weights_info(digest)))
        with pytest.raises(VerificationError, match="sealed weights"):
            ClusterRole.open(copy.root)
        copy.sealed_weights.write_bytes(seal(card.sealing_key, others, weights_info(b"x" * 32)))
        with pytest.raises(SubmissionRefused):
            ClusterRole.open(copy.root)

    def test_keys_that_the_manifest_does_not_name_are_refused(
        self, copy: CampaignFolder, other: Played
    ) -> None:
        for mine, theirs, words in (
            (copy.proving_key, other.folder.proving_key, "another proving key"),
            (
                copy.public.file(CLUSTER_CARD),
                other.folder.public.file(CLUSTER_CARD),
                "another card of the cluster",
            ),
        ):
            original = mine.read_bytes()
            mine.write_bytes(theirs.read_bytes())
            with pytest.raises(VerificationError, match=words):
                ClusterRole.open(copy.root)
            mine.write_bytes(original)
        shutil.copy(other.folder.private("cluster") / "identity.cbor", copy.private("cluster"))
        with pytest.raises(VerificationError, match="another cluster"):
            ClusterRole.open(copy.root)

    def test_evaluation_keys_that_the_card_does_not_name_are_refused(self, copy: CampaignFolder) -> None:
        copy.public.indexed(ANSWERS, 0).unlink()
        (copy.remembered("owner") / "answer-000000.cbor").unlink()
        path = copy.evaluation_keys
        path.write_bytes(flipped(path.read_bytes(), 5000))
        with pytest.raises(VerificationError, match="evaluation keys"):
            OwnerRole.open(copy.root).infer(0)


class TestAggregator:
    def test_a_proof_that_does_not_hold_is_missing(self, copy: CampaignFolder) -> None:
        contexts = [
            Proceedings.read(copy.public).submission(copy.public, index).context for index in range(4)
        ]
        copy.outcome(contexts[0]).unlink()
        shutil.copy(copy.outcome(contexts[2]), copy.outcome(contexts[1]))
        done = aggregate_campaign(copy)
        assert done.proved == (2, 3)
        assert set(done.missing) == {0, 1}
        assert "another submission" in done.missing[1]
        assert copy.public.indices(STATEMENTS) == {2, 3}
        verdict = verify(copy.root)
        assert (verdict.proved, verdict.missing, verdict.verified) == (2, 2, False)

    def test_it_can_run_again_when_more_proofs_are_there(self, copy: CampaignFolder) -> None:
        submission = Proceedings.read(copy.public).submission(copy.public, 0)
        path = copy.outcome(submission.context)
        kept = path.read_bytes()
        path.unlink()
        assert set(aggregate_campaign(copy).missing) == {0}
        path.write_bytes(kept)
        done = aggregate_campaign(copy)
        assert not done.missing
        assert done.raw_bytes == 4 * 240
        assert done.aggregate_bytes == copy.public.file(AGGREGATE).stat().st_size
        assert verify(copy.root).verified


def test_labels_of_others_cannot_be_opened(copy: CampaignFolder) -> None:
    shutil.rmtree(copy.public.path / LABELS.name)
    (copy.public.path / LABELS.name).mkdir()
    stranger = RoleOfTester.create(copy, "stranger")
    assert stranger.open_labels() == 0
    assert RoleOfTester.open(copy, "0").open_labels() == 2
    assert verify(copy.root).accuracy()[1] == 2


def test_post_is_content_addressed(tmp_path: Path) -> None:
    assert post(tmp_path, b"a") == post(tmp_path, b"a") != post(tmp_path, b"b")
    assert len(list(tmp_path.iterdir())) == 2
