"""Campaigns that reveal only how many decisions are correct, by labels that testers committed to before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, encode_g1, random_scalar
from pvcnn.campaign.artefacts.batch import Batch
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.commitments import random_salt
from pvcnn.campaign.artefacts.folder import (
    CLUSTER_CARD,
    LABEL_KEY,
    LABELS,
    MANIFEST,
    STATEMENTS,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import LOG_NAME, Identity
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.mail import post, seal, upload_info
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.artefacts.registration import NONCE_BYTES, Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.sealed_labels import CommittedLabels
from pvcnn.campaign.artefacts.signed import SigningKey, file_digest
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.next_steps import next_commands, steps
from pvcnn.campaign.roles.admission import open_upload, post_registration
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import ClusterRole
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.prover import ProverKeys
from pvcnn.campaign.roles.tester import TesterRole as RoleOfTester
from pvcnn.campaign.status import read_status
from pvcnn.campaign.verification.auditor import verify
from pvcnn.encoding import encode
from pvcnn.errors import CampaignError, DecodeError, SubmissionRefused, VerificationError
from pvcnn.qmp.api import prove
from pvcnn.qmp.labels import LabelKey
from pvcnn.qmp.statement import Statement
from tests.campaign.dishonest import encrypted
from tests.campaign.revealing import revealing
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import (
    Played,
    frames,
    play,
    prepare,
    prove_all,
    public_part,
    surely_decided,
)

BATCH = 3
PICTURES = frames(6, 9)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A tester with two submissions: decided 0, 1, 0 and 0, 1, 1, labelled 0, 1, 0 and 1, 0, 1."""
    decided = surely_decided(3)
    given = [decided[0][0], decided[1][0], decided[0][1], decided[0][2], *decided[1][1:3]]
    root = tmp_path_factory.mktemp("counted") / "campaign"
    part = revealing(public_part(1), "correct")
    return play(root, testers=1, each=2, batch=BATCH, pictures=given, public=part)


@pytest.fixture
def tampered(counted: Played, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(counted.folder.root, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


@pytest.fixture(scope="module")
def _waiting(tmp_path_factory: pytest.TempPathFactory) -> tuple[CampaignFolder, str]:
    part = revealing(public_part(1), "correct")
    root = tmp_path_factory.mktemp("waiting") / "campaign"
    folder, _, _, fingerprint = prepare(root, batch=BATCH, public=part)
    return folder, fingerprint


@pytest.fixture
def waiting(_waiting: tuple[CampaignFolder, str], tmp_path: Path) -> tuple[CampaignFolder, str]:
    """After `setup`, and the cluster's fingerprint."""
    shutil.copytree(_waiting[0].root, tmp_path / "waiting")
    return CampaignFolder(tmp_path / "waiting"), _waiting[1]


class TestHonest:
    def test_k_of_n_are_correct_and_nothing_else_is_said(
        self, counted: Played, capsys: pytest.CaptureFixture[str]
    ) -> None:
        verdict = verify(counted.folder.root)
        assert verdict.verified
        assert [verdict.outcomes[index].count for index in counted.indices] == [3, 1]
        assert verdict.accuracy() == (4, 6)
        assert all(not each.decisions and not each.logits for each in verdict.outcomes)
        report = json.loads(json.dumps(verdict.to_json()))
        assert report["reveals"] == "correct"
        assert [each["correct"] for each in report["submissions"]] == [
            each.count for each in verdict.outcomes
        ]
        assert all(not each["decisions"] and each["labels"] is None for each in report["submissions"])
        text = "\n".join(verdict.sentences())
        assert "the number of correct decisions is the output of the committed public part" in text
        assert "4 of 6 correct: so many decisions are the labels that testers committed to before" in text
        assert "the cluster, which knows the labels" in text
        assert code_of(counted.folder) == 0
        printed = capsys.readouterr().out
        assert "4 of 6 correct" in printed
        assert "real" not in printed

    def test_nobody_opens_labels(self, tampered: CampaignFolder) -> None:
        assert not tampered.public.indices(LABELS)
        with pytest.raises(CampaignError, match="stay closed"):
            RoleOfTester.open(tampered, "0").open_labels()
        status = read_status(tampered.root)
        assert "open-labels" not in [step.name for step in steps(status)]
        assert next_commands(status) == [("anyone", "pvcnn verify DIR")]
        path = tampered.public.indexed(LABELS, 0)
        path.write_bytes(LabelOpening(random_salt(), (0, 1, 0)).to_bytes())
        with pytest.raises(VerificationError, match="a count has been proved of them"):
            verify(tampered.root)
        assert code_of(tampered) == 1

    def test_blindings_stay_with_tester_and_cluster(self, counted: Played) -> None:
        (first, second) = (
            CommittedLabels.from_bytes(path.read_bytes())
            for path in (counted.folder.root / "private" / "tester-0").glob("label-*")
        )
        assert first.blinding != second.blinding
        assert "blinding" not in repr(first)
        for path in counted.folder.root.rglob("*"):
            if path.is_file() and "private" not in path.parts:
                data = path.read_bytes()
                assert first.blinding.to_bytes(32, "little") not in data, path

    def test_letters_do_not_tell_labels_by_their_length(self) -> None:
        lengths = {
            len(CommittedLabels(labels, random_scalar()).to_bytes())
            for labels in ((0, 0, 0), (1, 1, 1), (1000, 70_000, 1 << 19))
        }
        assert len(lengths) == 1

    def test_labels_there_must_be(self, waiting: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = waiting
        tester = RoleOfTester.create(folder, "ann")
        with pytest.raises(ValueError, match="it takes labels"):
            tester.encrypt_batch(PICTURES[:3], None, fingerprint)
        with pytest.raises(ValueError, match="no class from 0 to 1"):
            tester.encrypt_batch(PICTURES[:3], [0, 1, 2], fingerprint)
        assert not list(folder.mail("owner").iterdir())


class TestAltered:
    def test_a_changed_count(self, tampered: CampaignFolder) -> None:
        path = tampered.public.indexed(STATEMENTS, 0)
        statement = Statement.from_bytes(path.read_bytes())
        for count in (0, 1, 2, 3):
            if (count,) != statement.outputs:
                path.write_bytes(replace(statement, outputs=(count,)).to_bytes())
                with pytest.raises(VerificationError, match="aggregate"):
                    verify(tampered.root)
        for outputs in ((4,), (-1,), (1, 1)):
            path.write_bytes(replace(statement, outputs=outputs).to_bytes())
            with pytest.raises(VerificationError, match="statement 0 holds"):
                verify(tampered.root)
        assert code_of(tampered) == 1

    def test_labels_that_are_not_the_registered_ones(self, tampered: CampaignFolder) -> None:
        """The cluster's statement about labels of its own choice, and one without any."""
        path = tampered.public.indexed(STATEMENTS, 0)
        statement = Statement.from_bytes(path.read_bytes())
        other = Statement.from_bytes(tampered.public.read_indexed(STATEMENTS, 1)).labels_commitment
        path.write_bytes(replace(statement, labels_commitment=other).to_bytes())
        with pytest.raises(VerificationError, match="other labels than the tester committed to"):
            verify(tampered.root)
        assert code_of(tampered) == 1
        path.write_bytes(replace(statement, labels_commitment=None).to_bytes())
        with pytest.raises(VerificationError):
            verify(tampered.root)

    def test_a_worker_that_proves_about_other_labels_records_nothing(self, tampered: CampaignFolder) -> None:
        """After the outcome is known, somebody would like other labels: the proof holds, and is refused."""
        index = 0
        submission = Proceedings.read(tampered.public).submission(tampered.public, index)
        tampered.outcome(submission.context).unlink()
        keys = ProverKeys.open(tampered.root, ClusterSecrets.load_from(tampered.private("cluster")))
        features = np.zeros((BATCH, *keys.public_part.program.input_shape), np.int64)
        proof = prove(
            keys.proving,
            keys.public_part,
            features,
            submission.context,
            labels=np.array([1, 1, 1]),
            labels_blinding=random_scalar(),
        )
        ledger = ClusterLedger.open(tampered.root)
        with pytest.raises(VerificationError, match="other labels"):
            ledger.record(index, ClusterOutcome(proof=proof).to_bytes())
        assert not ledger.recorded(index)
        tampered.outcome(submission.context).write_bytes(ClusterOutcome(proof=proof).to_bytes())
        assert "other labels" in aggregate_campaign(tampered).missing[index]

    def test_another_label_key_is_not_the_campaigns(self, tampered: CampaignFolder) -> None:
        key = LabelKey.from_bytes(tampered.public.read(LABEL_KEY))
        other = replace(key, points=key.points[::-1])
        tampered.public.file(LABEL_KEY).write_bytes(other.to_bytes())
        with pytest.raises(VerificationError, match=r"label_key\.cbor is not the file"):
            verify(tampered.root)
        with pytest.raises(VerificationError, match="another label key"):
            ClusterRole.open(tampered.root)
        owner = Identity.load_from(tampered.private("owner"), "split").signing
        manifest = Manifest.from_bytes(tampered.public.read(MANIFEST))
        signed = replace(manifest, label_key_digest=file_digest(other.to_bytes())).signed(owner)
        tampered.public.file(MANIFEST).write_bytes(signed.to_bytes())
        secrets = ClusterSecrets.load_from(tampered.private("cluster"))
        with pytest.raises((VerificationError, SubmissionRefused)):
            ProverKeys.open(tampered.root, secrets)
        fewer = replace(key, points=key.points[:2])
        tampered.public.file(LABEL_KEY).write_bytes(fewer.to_bytes())
        with pytest.raises(VerificationError):
            verify(tampered.root)


def register(
    folder: CampaignFolder,
    commitment: bytes,
    labels: Callable[[bytes, bytes, bytes], bytes],
    pictures: int = 0,
) -> Registration:
    """Whoever registers `commitment`; `labels` makes the letter from manifest digest, key and nonce."""
    manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
    key = SigningKey.generate()
    nonce = bytes([pictures + 1]) * NONCE_BYTES
    messages = tuple(encrypted(folder, frame) for frame in PICTURES[pictures : pictures + BATCH])
    batch = Batch(messages, labels(manifest.digest(), key.public, nonce))
    info = upload_info(manifest.digest(), key.public, nonce)
    upload = post(folder.mail("owner"), seal(manifest.owner_sealing_key, batch.to_bytes(), info))
    registration = Registration(
        signer=key.public,
        manifest_digest=manifest.digest(),
        upload_digest=upload,
        nonce=nonce,
        label_commitment=commitment,
    ).signed(key)
    post_registration(folder.mail("owner"), registration)
    return registration


def cluster_key(folder: CampaignFolder) -> bytes:
    return ClusterCard.from_bytes(folder.public.read(CLUSTER_CARD)).sealing_key


def refused_by_the_cluster(folder: CampaignFolder, registration: Registration) -> str:
    """Closes, evaluates and proves; the line of the cluster's log about this registration."""
    owner = OwnerRole.open(folder.root)
    registry, turned_away = owner.close_registry()
    assert not turned_away
    for index in range(len(registry.registrations)):
        assert not owner.infer(index).refused
    index = registry.registrations.index(registration)
    assert prove_all(folder, len(registry.registrations)) == [index]
    (line,) = (folder.private("cluster") / LOG_NAME).read_text().splitlines()
    assert line.startswith(f"submission {index}:")
    aggregate_campaign(folder)
    verdict = verify(folder.root)
    assert (verdict.proved, verdict.refused) == (len(registry.registrations) - 1, 1)
    assert verdict.accuracy()[1] == BATCH * len(registry.registrations), "its frames count as wrong"
    return line


class TestCommitments:
    def test_labels_changed_after_committing_to_them(self, waiting: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = waiting
        RoleOfTester.create(folder, "honest").encrypt_batch(PICTURES[:3], [0, 1, 0], fingerprint)
        key = LabelKey.from_bytes(folder.public.read(LABEL_KEY))
        blinding = random_scalar()
        committed = CommittedLabels((0, 0, 0), blinding).commitment(key)
        changed = CommittedLabels((1, 1, 1), blinding)
        registration = register(
            folder, committed, lambda *place: changed.sealed(cluster_key(folder), *place), pictures=3
        )
        line = refused_by_the_cluster(folder, registration)
        assert "the labels are not those that the tester committed to" in line

    def test_a_commitment_copied_from_another_tester(self, waiting: tuple[CampaignFolder, str]) -> None:
        """The copier cannot say what is in it, even with the very letter of the other tester."""
        folder, fingerprint = waiting
        honest = RoleOfTester.create(folder, "honest").encrypt_batch(PICTURES[:3], [0, 1, 0], fingerprint)
        sealing = Identity.load_from(folder.private("owner"), "split").sealing
        manifest = Manifest.from_bytes(folder.public.read(MANIFEST))
        upload = open_upload(folder.mail("owner"), sealing, manifest.digest(), honest)
        letter = Batch.from_bytes(upload).labels
        registration = register(folder, honest.label_commitment, lambda *place: letter, pictures=3)
        assert "a sealed blob does not open" in refused_by_the_cluster(folder, registration)

    def test_a_copied_commitment_with_labels_that_are_guessed(
        self, waiting: tuple[CampaignFolder, str]
    ) -> None:
        folder, fingerprint = waiting
        honest = RoleOfTester.create(folder, "honest").encrypt_batch(PICTURES[:3], [0, 1, 0], fingerprint)
        guess = CommittedLabels((0, 1, 0), random_scalar())
        registration = register(
            folder,
            honest.label_commitment,
            lambda *place: guess.sealed(cluster_key(folder), *place),
            pictures=3,
        )
        line = refused_by_the_cluster(folder, registration)
        assert "the labels are not those that the tester committed to" in line

    @pytest.mark.parametrize("labels", [(0, 1), (0, 1, 0, 1), (0, 1, 2)], ids=["few", "many", "no class"])
    def test_labels_that_cannot_be(
        self, waiting: tuple[CampaignFolder, str], labels: tuple[int, ...]
    ) -> None:
        folder, fingerprint = waiting
        RoleOfTester.create(folder, "honest").encrypt_batch(PICTURES[:3], [0, 1, 0], fingerprint)
        letter = CommittedLabels(labels, random_scalar())
        registration = register(
            folder,
            encode_g1(G1Point()),
            lambda *place: letter.sealed(cluster_key(folder), *place),
            pictures=3,
        )
        assert "not labels of this campaign" in refused_by_the_cluster(folder, registration)

    def test_an_owner_who_leaves_labels_out_or_exchanges_them(
        self, waiting: tuple[CampaignFolder, str]
    ) -> None:
        folder, _ = waiting
        key = LabelKey.from_bytes(folder.public.read(LABEL_KEY))
        committed = CommittedLabels((0, 1, 0), random_scalar())
        register(folder, committed.commitment(key), lambda *place: b"")
        owner = OwnerRole.open(folder.root)
        owner.close_registry()
        assert "has no labels" in owner.infer(0).reason

    def test_a_registration_without_one_is_turned_away(self, waiting: tuple[CampaignFolder, str]) -> None:
        """And if an owner registers it nevertheless, nobody goes on: not the cluster, and no verifier."""
        folder, fingerprint = waiting
        RoleOfTester.create(folder, "honest").encrypt_batch(PICTURES[:3], [0, 1, 0], fingerprint)
        without = register(folder, bytes(range(32)), lambda *place: b"letter", pictures=3)
        owner = OwnerRole.open(folder.root)
        registry, turned_away = owner.close_registry()
        assert len(registry.registrations) == 1
        assert ["D_lab" in each.reason for each in turned_away] == [True]
        key = Identity.load_from(folder.private("owner"), "split").signing
        forged = Registry.close(key, without.manifest_digest, [*registry.registrations, without])
        (folder.public.path / "registry.cbor").write_bytes(forged.to_bytes())
        for refuse in (lambda: verify(folder.root), lambda: ClusterLedger.open(folder.root)):
            with pytest.raises(VerificationError, match="does not commit to a D_lab"):
                refuse()

    def test_commitments_that_are_no_points_or_hide_nothing(
        self, waiting: tuple[CampaignFolder, str]
    ) -> None:
        folder, _ = waiting
        identity = b"\xc0" + bytes(47)
        for number, bad in enumerate((b"\xff" * 48, identity)):
            register(folder, bad, lambda *place: b"letter", pictures=number)
        with pytest.raises(CampaignError, match="nothing to register"):
            OwnerRole.open(folder.root).close_registry()

    def test_a_commitment_where_labels_are_opened(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, fingerprint = fresh
        honest = RoleOfTester.create(folder, "honest").encrypt(PICTURES[0], 1, fingerprint)
        key = SigningKey.generate()
        stray = replace(
            honest, signer=key.public, label_commitment=encode_g1(G1Point()), upload_digest=b"u" * 32
        ).signed(key)
        post_registration(folder.mail("owner"), stray)
        _, turned_away = OwnerRole.open(folder.root).close_registry()
        assert ["labels to be opened" in each.reason for each in turned_away] == [True]


class TestLetters:
    def test_inverse(self) -> None:
        letter = CommittedLabels((0, 5, 1 << 19), 77)
        assert CommittedLabels.from_bytes(letter.to_bytes()) == letter

    @pytest.mark.parametrize(
        "fields",
        [
            {"labels": bytes(3), "blinding": b"\x01" + bytes(31)},
            {"labels": bytes(4), "blinding": bytes(32)},
            {"labels": bytes(4), "blinding": SCALAR_MODULUS.to_bytes(32, "little")},
            {"labels": bytes(4), "blinding": bytes(31)},
            {"labels": bytes(4 * 4097), "blinding": b"\x01" + bytes(31)},
            {"labels": [0], "blinding": b"\x01" + bytes(31)},
            {"labels": bytes(4)},
            {"labels": bytes(4), "blinding": b"\x01" + bytes(31), "more": 0},
        ],
    )
    def test_hostile_bytes(self, fields: dict[str, object]) -> None:
        with pytest.raises(DecodeError):
            CommittedLabels.from_bytes(encode("pvcnn-labels", 1, fields))
