"""Frames in slots, and who lies about batches, rows and places: testers, carriers, owners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.campaign.admission import open_upload
from pvcnn.campaign.answering import AnsweredByBatch, OnlyNamed, answering, seed_of
from pvcnn.campaign.audit_choice import AuditChoice
from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.batch import Batch
from pvcnn.campaign.cluster_audit import audit_cluster
from pvcnn.campaign.cluster_audit import open_for_audit as open_cluster
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.decrypting import DecryptedByBatch, feature_decryption
from pvcnn.campaign.evaluator import EvaluatorKeys
from pvcnn.campaign.folder import ANSWERS, CLUSTER_CARD, MANIFEST, CampaignFolder
from pvcnn.campaign.frame_place import FramePlace
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.mail import answer_batch_purpose, answer_info, collect, upload_batch_purpose
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.owner_audit import audit_owner, open_for_audit
from pvcnn.campaign.sealed_rows import SealedRows, post_rows, rows_path
from pvcnn.campaign.submission import Proceedings
from pvcnn.campaign.tester import TesterRole as RoleOfTester
from pvcnn.errors import CampaignError, SubmissionRefused
from pvcnn.he.frame_slots.decryption import BatchDecryptor
from pvcnn.he.frame_slots.rows import pixel_rows
from pvcnn.he.keys import SecretKey
from pvcnn.program.private import private_evaluate
from tests.attacks.audits import Answering
from tests.campaign.dishonest import smuggle
from tests.campaign.slots import BEACON, PLACES, Slots, batch_of, slots_plan
from tests.campaign.tiny import frames, private_part, prove_all


class TestAdmission:
    @pytest.fixture
    def ann(self, open_slots: tuple[CampaignFolder, str]) -> tuple[CampaignFolder, bytes]:
        """A campaign in which ann registered two frames, and their batch."""
        folder, fingerprint = open_slots
        RoleOfTester.create(folder, "ann").encrypt_frames(frames(2, 9), None, fingerprint)
        (path,) = folder.mail("owner").glob("*.rows")
        return folder, bytes.fromhex(path.stem)

    def reasons(self, folder: CampaignFolder, admitted: int) -> list[str]:
        registry, turned_away = OwnerRole.open(folder.root).close_registry()
        assert len(registry.registrations) == admitted
        return [each.reason for each in turned_away]

    def test_a_batch_of_another_tester(self, ann: tuple[CampaignFolder, bytes]) -> None:
        folder, batch = ann
        smuggle(folder, "mallory", FramePlace(batch, 2).to_bytes())
        (reason,) = self.reasons(folder, 2)
        assert "does not open" in reason

    def test_one_place_in_two_submissions(self, ann: tuple[CampaignFolder, bytes]) -> None:
        folder, batch = ann
        again = FramePlace(batch, 1).to_bytes()
        RoleOfTester.open(folder, "ann")._register(
            Manifest.from_bytes(folder.public.read(MANIFEST)), Batch((again,)).to_bytes(), None
        )
        assert self.reasons(folder, 2) == ["the same ciphertext is registered already"]

    @pytest.mark.parametrize("keep", [0, 1000, -1])
    def test_a_batch_that_was_not_delivered_whole(self, ann: tuple[CampaignFolder, bytes], keep: int) -> None:
        folder, batch = ann
        path = rows_path(folder.mail("owner"), batch)
        whole = path.read_bytes()
        path.write_bytes(whole[:keep] if keep else b"")
        RoleOfTester.create(folder, "bob").encrypt_frames(frames(1, 2), None, ann_fingerprint(folder))
        reasons = self.reasons(folder, 1)
        assert len(reasons) == 2
        assert all(f"{batch.hex()}.rows" in each and "deliver it again" in each for each in reasons)

    def test_a_row_in_two_batches(self, ann: tuple[CampaignFolder, bytes]) -> None:
        """Whoever has a row of another batch, or of an own one, registers none of its ciphertexts again."""

        folder, batch = ann
        manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
        sealing = Identity.load_from(folder.private("owner"), "split").sealing
        tester, plan = RoleOfTester.open(folder, "ann"), slots_plan(folder)
        purpose = upload_batch_purpose(manifest.digest(), tester.public_key)
        rows = list(SealedRows(folder.mail("owner"), batch, sealing, purpose, plan, pixel_rows(plan)))
        box = folder.mail("owner")
        copied = post_rows(box, manifest.owner_sealing_key, purpose, len(rows), [*rows[:-1], b"other"])
        tester._register(manifest, Batch((FramePlace(copied, 0).to_bytes(),)).to_bytes(), None)
        reasons = OwnerRole.open(folder.root).close_registry()[1]
        assert reasons
        assert all(
            each.reason == "rows of the batch are registered already, in another one" for each in reasons
        )

    def test_what_is_no_batch_is_refused_and_counted(self, ann: tuple[CampaignFolder, bytes]) -> None:
        folder, batch = ann
        smuggle(folder, "beyond", FramePlace(batch, PLACES).to_bytes())
        smuggle(folder, "single", b"a ciphertext")
        manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
        mallory = RoleOfTester.create(folder, "rows")
        purpose = upload_batch_purpose(manifest.digest(), mallory.public_key)
        rows = [b"no ciphertexts"] * slots_plan(folder).tiling.input_shape[1]
        rows[0] += b"!"
        nonsense = post_rows(folder.mail("owner"), manifest.owner_sealing_key, purpose, len(rows), rows)
        mallory._register(manifest, Batch((FramePlace(nonsense, 0).to_bytes(),)).to_bytes(), None)
        assert self.reasons(folder, 5) == []
        owner = OwnerRole.open(folder.root)
        answers = [owner.infer(index) for index in range(5)]
        assert sum(not answer.refused for answer in answers) == 2
        refused = " ".join(answer.reason for answer in answers)
        assert f"{PLACES} places, and none of number {PLACES}" in refused
        assert "row 0 of the batch" in refused


def ann_fingerprint(folder: CampaignFolder) -> str:

    return ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD)).fingerprint


class TestEmptySlots:
    def test_a_tester_that_fills_them_gets_nothing(self, open_slots: tuple[CampaignFolder, str]) -> None:
        """Three frames in a batch of which one is registered: of the others the cluster sees noise, and the
        biases, which every slot would have, are in none of them."""

        folder, fingerprint = open_slots
        given, private = frames(3, 9), private_part(1)
        tester = RoleOfTester.create(folder, "ann")
        made = tester.encrypt_frames(given, None, fingerprint)
        for registration in made[1:]:
            for path in folder.mail("owner").glob(f"{registration.upload_digest.hex()}-*"):
                path.unlink()
        owner = OwnerRole.open(folder.root)
        owner.close_registry()
        owner.infer(0)
        plan, proceedings = slots_plan(folder), Proceedings.read(folder.public)
        sealing = Identity.load_from(folder.private("cluster"), "keygen").sealing
        secret = SecretKey.from_bytes(
            plan, (folder.private("cluster") / "encryption_secret_key.bin").read_bytes()
        )
        decryption = feature_decryption(plan, secret, sealing)
        assert isinstance(decryption, DecryptedByBatch)
        (path,) = folder.mail("cluster").glob("*.rows")
        purpose = answer_batch_purpose(proceedings.manifest.digest(), proceedings.registry.digest())
        found = [
            decryption.features(
                folder.mail("cluster"), purpose, FramePlace(bytes.fromhex(path.stem), place).to_bytes()
            )
            for place in range(3)
        ]
        exact = private_evaluate(private, np.stack(given))
        step = private.feature_step
        assert np.abs(found[0] - exact[0]).max() < step / 4
        outer = plan.outer_flooding_amplitude
        for place in (1, 2):
            assert np.abs(found[place] - exact[place]).max() > outer / 2 > 100 * step
            assert outer > np.abs(exact).max()


class TestAudits:
    def test_honest_roles_pass(self, slots_played: Slots) -> None:
        choice = AuditChoice.make(slots_played.folder.public, BEACON, 100)
        opening = open_for_audit(slots_played.folder, choice)
        report = audit_owner(slots_played.folder, choice, opening)
        assert report.honest
        assert {each.what for each in report.findings} == {"the answer was made again, bit for bit"}
        assert audit_cluster(slots_played.folder, choice, open_cluster(slots_played.folder, choice)).honest

    def test_submissions_of_a_batch_share_its_seed_and_no_others_do(self, slots_played: Slots) -> None:
        opening = open_for_audit(
            slots_played.folder, AuditChoice.make(slots_played.folder.public, BEACON, 100)
        )
        by_batch: dict[bytes, set[bytes]] = {}
        for index, seed in opening.values.items():
            by_batch.setdefault(batch_of(slots_played.folder, index)[0], set()).add(seed)
        assert [len(seeds) for seeds in by_batch.values()] == [1, 1, 1]
        assert len(set.union(*by_batch.values())) == 3

    def test_another_seed_is_found_out(self, slots_played: Slots) -> None:
        choice = AuditChoice.make(slots_played.folder.public, BEACON, 100)
        opening = open_for_audit(slots_played.folder, choice)
        changed = replace(opening, values=opening.values | {0: bytes(32)})
        report = audit_owner(slots_played.folder, choice, changed)
        assert [each.index for each in report.findings if each.what.startswith("the answer is not")] == [0]

    def test_frames_that_change_places_are_found_out(self, slots_tampered: Slots) -> None:
        """The owner signs, for one frame, the features of another one in the same batch."""
        folder, proceedings = slots_tampered.folder, slots_tampered.proceedings
        places = [batch_of(folder, index) for index in range(slots_tampered.count)]
        one, two = [i for i in range(slots_tampered.count) if _shared(places, i)][:2]
        sealing = Identity.load_from(folder.private("cluster"), "keygen").sealing
        answer = proceedings.submission(folder.public, two).answer
        blob = collect(folder.mail("cluster"), answer.answer_digest)
        info = answer_info(proceedings.manifest.digest(), proceedings.registry.digest(), two)
        lie = sealing.open(blob, info)

        liar = Answering(folder, None, proceedings, AuditSecret.load_from(folder.private("owner"), "split"))  # type: ignore[arg-type]
        (message,) = Batch.from_bytes(lie).messages
        for path in (folder.public.path / "statements").iterdir():
            path.unlink()
        liar.sign(one, message)
        choice = liar.settle()
        with pytest.raises(CampaignError):
            open_for_audit(folder, choice)
        opening = replace(liar.opening(choice), values=_seeds(slots_tampered, choice))
        report = audit_owner(folder, choice, opening)
        assert [each.index for each in report.findings if each.what.startswith("the answer is not")] == [one]
        assert (folder.public.path / ANSWERS.name).exists()

    def test_two_answers_to_a_batch_are_the_same_under_a_seed_only(self, slots_played: Slots) -> None:

        keys, proceedings = EvaluatorKeys.open(slots_played.folder.root, 1), slots_played.proceedings
        box = slots_played.folder.mail("owner")

        def answers() -> AnsweredByBatch:
            made = answering(keys.evaluator, proceedings, box, keys.sealing_key, OnlyNamed())
            assert isinstance(made, AnsweredByBatch)
            return made

        registration = proceedings.registry.registrations[0]
        upload = open_upload(box, keys.sealing_key, proceedings.manifest.digest(), registration)
        seed = seed_of(keys.plan, keys.audit, proceedings.registry, 0, upload)
        first = answers().answer(0, upload, seed)
        assert answers().answer(0, upload, seed) == first
        assert answers().answer(0, upload, bytes(32)) != first


def _shared(places: list[tuple[bytes, list[int]]], index: int) -> bool:
    return sum(batch == places[index][0] for batch, _ in places) > 1


def _seeds(slots: Slots, choice: AuditChoice) -> dict[int, bytes]:
    registry = slots.proceedings.registry
    audit = AuditSecret.load_from(slots.folder.private("owner"), "split")
    return {
        index: audit.batch_seed(
            registry.digest(), registry.registrations[index].signer, batch_of(slots.folder, index)[0]
        )
        for index in choice.indices
    }


class TestTheClusterRefuses:
    @pytest.fixture
    def unproved(self, slots_tampered: Slots) -> Slots:
        for path in slots_tampered.folder.proofs.iterdir():
            path.unlink()
        return slots_tampered

    def test_rows_that_were_changed_on_their_way(self, unproved: Slots) -> None:
        """A fault of delivery, and nobody's refusal: delivered again, they are proved."""
        folder = unproved.folder
        whole = {path: path.read_bytes() for path in folder.mail("cluster").glob("*.rows")}
        for path, data in whole.items():
            damaged = bytearray(data)
            damaged[len(data) // 2] ^= 1
            path.write_bytes(bytes(damaged))
        with pytest.raises(CampaignError, match="row 0 does not open: deliver it again"):
            prove_all(folder, 1)
        for path, data in whole.items():
            path.write_bytes(data)
        assert not prove_all(folder, 1)

    def test_batches_that_changed_places(self, unproved: Slots) -> None:
        folder = unproved.folder
        first, second, third = folder.mail("cluster").glob("*.rows")
        held = [path.read_bytes() for path in (second, third, first)]
        for path, data in zip((first, second, third), held, strict=True):
            path.write_bytes(data)
        with pytest.raises(CampaignError, match="another batch"):
            prove_all(folder, 1)

    def test_a_decryptor_needs_all_rows(self, slots_played: Slots) -> None:

        plan = slots_plan(slots_played.folder)
        secret = SecretKey.from_bytes(
            plan, (slots_played.folder.private("cluster") / "encryption_secret_key.bin").read_bytes()
        )
        with pytest.raises(SubmissionRefused, match="rows here, not 0"):
            BatchDecryptor(plan, secret).features([])
