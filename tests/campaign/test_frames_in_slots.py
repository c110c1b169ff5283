"""Campaigns whose testers encrypt many frames together: batches in the mail, everything behind as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.campaign.audit_secret import AuditSecret
from pvcnn.campaign.auditor import verify
from pvcnn.campaign.batch import frames_in_slots
from pvcnn.campaign.cluster_card import ClusterCard
from pvcnn.campaign.encrypting import FramesInSlots
from pvcnn.campaign.evaluator import SubmissionEvaluator
from pvcnn.campaign.folder import CLUSTER_CARD, ENCRYPTION_PLAN, MANIFEST, CampaignFolder
from pvcnn.campaign.frame_place import FramePlace
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.setup_party import check_frames
from pvcnn.campaign.tester import TesterRole as RoleOfTester
from pvcnn.compute.bundle import make_bundle
from pvcnn.compute.evaluation import infer_all
from pvcnn.errors import CampaignError, DecodeError, ParameterError, RangeError
from pvcnn.he.keys import PublicKey
from pvcnn.he.plans import read_plan
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution
from pvcnn.program.windows import Windows
from tests.aggregate import standalone
from tests.campaign.slots import GIVEN, PLACES, Slots, batch_of, slots_plan
from tests.campaign.tiny import frames, private_part, public_part


class TestAWholeCampaign:
    def test_it_verifies_frame_by_frame(self, slots_played: Slots) -> None:
        verdict = verify(slots_played.folder.root)
        assert (verdict.verified, verdict.registered, verdict.frames) == (True, GIVEN + 1, 1)
        assert verdict.accuracy() == (GIVEN + 1, GIVEN + 1)  # the testers' labels are the decisions
        standalone.load_campaign().Campaign(slots_played.folder.public.path).verify()

    def test_frames_lie_in_as_few_batches_as_have_room(self, slots_played: Slots) -> None:
        assert frames_in_slots(slots_played.folder.public) == PLACES
        found: dict[bytes, list[int]] = {}
        for index in range(slots_played.count):
            batch, places = batch_of(slots_played.folder, index)
            found[batch] = sorted([*found.get(batch, []), *places])
        assert sorted(found.values()) == [[0], [0], [0, 1, 2]]
        for role in ("owner", "cluster"):
            assert len(list(slots_played.folder.mail(role).glob("*.rows"))) == 3
        uploads = {path.stem for path in slots_played.folder.mail("owner").glob("*.rows")}
        assert uploads == {batch.hex() for batch in found}

    def test_an_owner_that_is_asked_again_evaluates_nothing_again(self, slots_tampered: Slots) -> None:
        folder = slots_tampered.folder
        made: list[int] = []
        evaluator = SubmissionEvaluator.open(folder.root, 1, lambda done, count: made.append(done))
        answers = [
            slots_tampered.proceedings.submission(folder.public, i).answer
            for i in range(slots_tampered.count)
        ]
        for answer in answers:
            assert evaluator.evaluate(answer.index).features_digest == answer.features_digest
        assert not made
        for path in folder.mail("cluster").glob("*.rows"):
            path.unlink()
        evaluator = SubmissionEvaluator.open(folder.root, 1, lambda done, count: made.append(done))
        for answer in answers:
            assert evaluator.evaluate(answer.index).features_digest == answer.features_digest
        assert len(made) == 3  # batches of one row
        assert len(list(folder.mail("cluster").glob("*.rows"))) == 3

    def test_no_secret_is_in_an_artefact(self, slots_played: Slots) -> None:
        private = slots_played.folder.private("owner")
        audit, identity = AuditSecret.load_from(private, "split"), Identity.load_from(private, "split")
        registry = slots_played.proceedings.registry
        secrets = [audit.value, identity.sealing.to_bytes()]
        for index, registration in enumerate(registry.registrations):
            batch, _ = batch_of(slots_played.folder, index)
            secrets.append(audit.batch_seed(registry.digest(), registration.signer, batch))
        shared = [
            path.read_bytes()
            for part in ("public", "mail", "keys", "proofs")
            for path in (slots_played.folder.root / part).rglob("*")
            if path.is_file()
        ]
        assert len(shared) > 30
        for secret in secrets:
            assert not any(secret in data or secret.hex().encode() in data for data in shared)
        kept = slots_played.folder.remembered("owner")
        assert all(path.stat().st_mode & 0o77 == 0 for path in kept.glob("batch-*"))

    def test_a_job_takes_the_batches_along(self, slots_played: Slots, tmp_path: Path) -> None:
        (tmp_path / "bundle").mkdir()
        make_bundle(slots_played.folder, tmp_path / "bundle", "job", [0])
        assert len(list(CampaignFolder(tmp_path / "bundle").mail("cluster").glob("*.rows"))) == 3

    def test_several_machines_would_evaluate_every_batch_each(self, slots_played: Slots) -> None:
        ledger = OwnerRole.open(slots_played.folder.root).ledger
        with pytest.raises(CampaignError, match="on one machine"):
            infer_all(ledger, slots_played.folder.root, [0], 2)


class TestTesters:
    def test_any_number_of_submissions_at_once_and_none_of_a_part(
        self, open_slots: tuple[CampaignFolder, str]
    ) -> None:
        folder, fingerprint = open_slots
        tester = RoleOfTester.create(folder, "ann")
        with pytest.raises(ValueError, match="0 given, 1 missing"):
            tester.encrypt_frames([], [], fingerprint)
        with pytest.raises(ValueError, match="2 frames have 2 labels, not 1"):
            tester.encrypt_frames(frames(2, 9), [1], fingerprint)
        with pytest.raises(ValueError, match="there twice"):
            tester.encrypt_frames([frames(1, 9)[0]] * 2, [1, 0], fingerprint)
        far = frames(5, 9)
        far[4] = far[4] + 9
        with pytest.raises(RangeError, match="frame 4"):
            tester.encrypt_frames(far, None, fingerprint)
        with pytest.raises(ValueError, match="has shape"):
            tester.encrypt_frames([np.zeros((1, 8, 8))], None, fingerprint)
        assert not list(folder.mail("owner").iterdir())
        told: list[int] = []
        made = tester.encrypt_frames(frames(5, 9), [0, 1, 0, 1, 0], fingerprint, progress=told.append)
        assert len({each.upload_digest for each in made}) == 5
        assert told == sorted(told)
        assert told[-1] == 5
        assert tester.encrypt(frames(1, 10)[0], 1, fingerprint).upload_digest

    def test_an_interruption_registers_nothing_and_leaves_no_half_file(
        self, open_slots: tuple[CampaignFolder, str]
    ) -> None:
        folder, fingerprint = open_slots

        def interrupt(done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            RoleOfTester.create(folder, "ann").encrypt_frames(
                frames(2, 9), None, fingerprint, progress=interrupt
            )
        assert not list(folder.mail("owner").iterdir())

    def test_submissions_are_not_split_between_batches(
        self, slots_waiting: tuple[CampaignFolder, str], tmp_path: Path
    ) -> None:
        """Two frames a submission, three places a batch: one stays empty."""

        plan, manifest = (
            slots_plan(slots_waiting[0]),
            Manifest.from_bytes(slots_waiting[0].public.read(MANIFEST)),
        )
        card = ClusterCard.from_bytes(slots_waiting[0].public.read(CLUSTER_CARD))
        key = PublicKey.from_bytes(plan, card.encryption_key)
        sealing_key = manifest.owner_sealing_key
        encryption = FramesInSlots(plan, key, tmp_path, sealing_key, bytes(32), each=2, processes=1)
        made = [FramePlace.from_bytes(m) for m in encryption.messages(frames(4, 1), lambda done: None)]
        assert [each.place for each in made] == [0, 1, 0, 1]
        assert len({each.batch for each in made}) == len(list(tmp_path.iterdir())) == 2


class TestThePlan:
    def test_a_layer_that_frames_in_slots_do_not_have_is_named(self, tmp_path: Path) -> None:
        private = private_part(1)
        first, square, _ = private.layers
        assert isinstance(first, PrivateConvolution)
        strided = PrivateConvolution("strided", first.weight, first.bias, Windows.square(3, 2, 1))
        others = square, PrivateAveragePool.disjoint("pool", 2)
        folder = CampaignFolder.create(tmp_path / "campaign")
        with pytest.raises(ParameterError, match="strided"):
            OwnerRole.create(folder).publish_split(
                replace(private, layers=(strided, *others)), public_part(1), frames_in_slots=PLACES
            )
        assert not folder.public.file(ENCRYPTION_PLAN).exists()

    def test_a_submission_fits_into_a_batch(self, slots_waiting: tuple[CampaignFolder, str]) -> None:
        plan, program = slots_plan(slots_waiting[0]), public_part(1).program
        check_frames(PLACES, program, plan)
        with pytest.raises(ValueError, match=f"1 to {PLACES} frames, not {PLACES + 1}"):
            check_frames(PLACES + 1, program, plan)

    def test_bytes_that_are_no_plan(self) -> None:
        for data in (b"", b"\xff" * 40, b"\xa0"):
            with pytest.raises(DecodeError):
                read_plan(data)
