"""Submissions that owner or cluster refuse: signed, counted, and without a word about values."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import cbor2
import pytest

from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    REFUSALS,
    CampaignFolder,
)
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import ClusterRole
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.tester import TesterRole as RoleOfTester
from pvcnn.campaign.verification.auditor import verify
from pvcnn.campaign.verification.report import CLUSTER_REFUSED, Status
from pvcnn.errors import SubmissionRefused, VerificationError
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.keys import generate
from tests.campaign.dishonest import FRAME, edited, encrypted, plan_of, smuggle
from tests.campaign.hostile import flipped
from tests.campaign.tiny import prove_all


@dataclass(frozen=True)
class Mixed:
    """A finished campaign of one honest tester and several dishonest ones."""

    folder: CampaignFolder
    place: dict[str, int]
    """Where each tester's submission stands in the registry."""
    refused_by_cluster: list[int]


@pytest.fixture(scope="session")
def mixed(prepared: tuple[CampaignFolder, str], tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    root = tmp_path_factory.mktemp("mixed") / "campaign"
    shutil.copytree(prepared[0].root, root)
    folder = CampaignFolder(root)
    good = encrypted(folder, FRAME)
    _, foreign_key, _ = generate(plan_of(folder))
    message = cbor2.loads(good)
    first, second = message["ciphertexts"][0]
    registrations = {"honest": RoleOfTester.create(folder, "honest").encrypt(FRAME, 1, prepared[1])}
    for name, ciphertext in {
        "not-a-number": edited(good, scale=struct.pack(">d", float("nan"))),
        "three-parts": edited(good, ciphertexts=[[first, second, second]]),
        "transparent": edited(good, ciphertexts=[[first, bytes(len(second))]]),
        "hostile": b"\xa1\x61",
        "foreign-key": encrypt_frame(plan_of(folder), foreign_key, FRAME),
        "flipped-bit": edited(good, ciphertexts=[[flipped(first, len(first) // 2), second]]),
    }.items():
        registrations[name] = smuggle(folder, name, ciphertext)
    owner = OwnerRole.open(root)
    registry, turned_away = owner.close_registry()
    assert not turned_away
    for index in range(len(registrations)):
        owner.infer(index)
    uploads = [each.upload_digest for each in registry.registrations]
    place = {name: uploads.index(each.upload_digest) for name, each in registrations.items()}
    refused = prove_all(folder, len(registrations))
    aggregate_campaign(folder)
    return Mixed(folder, place, refused)


class TestRefusals:
    def test_the_verdict_counts_them_as_failed(self, mixed: Mixed) -> None:
        verdict = verify(mixed.folder.root)
        assert verdict.verified
        assert (verdict.registered, verdict.proved, verdict.refused, verdict.missing) == (7, 1, 6, 0)
        assert verdict.outcomes[mixed.place["honest"]].status is Status.PROVED
        assert json.dumps(verdict.to_json())

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("not-a-number", "scale"),
            ("three-parts", "components"),
            ("transparent", "transparent"),
            ("hostile", "CBOR"),
        ],
    )
    def test_the_owner_refuses_malformed_ciphertexts_with_a_reason(
        self, mixed: Mixed, name: str, reason: str
    ) -> None:
        outcome = verify(mixed.folder.root).outcomes[mixed.place[name]]
        assert outcome.status is Status.REFUSED
        assert reason in outcome.reason

    @pytest.mark.parametrize("name", ["foreign-key", "flipped-bit"])
    def test_the_cluster_refuses_what_decrypts_to_nonsense(self, mixed: Mixed, name: str) -> None:
        """It says so under its signature, without a reason: that would tell of values."""
        index = mixed.place[name]
        assert index in mixed.refused_by_cluster
        outcome = verify(mixed.folder.root).outcomes[index]
        assert (outcome.status, outcome.reason) == (Status.REFUSED, CLUSTER_REFUSED)
        log = mixed.folder.private("cluster") / "refusals.log"
        assert log.stat().st_mode & 0o777 == 0o600
        assert f"submission {index}: SubmissionRefused" in log.read_text()
        assert "outside [" in log.read_text()

    def test_no_value_gets_out_of_the_log(self, mixed: Mixed) -> None:
        for path in mixed.folder.public.path.rglob("*"):
            assert not path.is_file() or b"outside [" not in path.read_bytes()

    def test_a_refusal_stands(self, mixed: Mixed, tmp_path: Path) -> None:
        shutil.copytree(mixed.folder.root, tmp_path / "again")
        folder = CampaignFolder(tmp_path / "again")
        before = {path.name: path.read_bytes() for path in folder.proofs.iterdir()}
        cluster = ClusterRole.open(folder.root)
        with pytest.raises(SubmissionRefused, match="own log"):
            cluster.prove(mixed.place["foreign-key"])
        with pytest.raises(SubmissionRefused, match="the owner refused"):
            cluster.prove(mixed.place["not-a-number"])
        assert before == {path.name: path.read_bytes() for path in folder.proofs.iterdir()}

    def test_one_byte_changed_in_a_refusal_is_refused(self, mixed: Mixed, tmp_path: Path) -> None:
        shutil.copytree(mixed.folder.public.path, tmp_path / "public")
        public = CampaignFolder(tmp_path).public
        for index in sorted(public.indices(REFUSALS)):
            path = public.indexed(REFUSALS, index)
            original = path.read_bytes()
            for position in range(0, len(original), 7):
                path.write_bytes(flipped(original, position))
                with pytest.raises((VerificationError, ValueError)):
                    verify(tmp_path)
            path.write_bytes(original)

    def test_a_campaign_in_which_everything_was_refused(self, fresh: tuple[CampaignFolder, str]) -> None:
        folder, _ = fresh
        smuggle(folder, "hostile", b"nothing")
        owner = OwnerRole.open(folder.root)
        owner.close_registry()
        owner.infer(0)
        assert aggregate_campaign(folder).refused == (0,)
        verdict = verify(folder.root)
        assert not verdict.verified
        assert (verdict.registered, verdict.proved, verdict.failed) == (1, 0, 1)
        folder.public.file(AGGREGATE).write_bytes(b"anything")
        with pytest.raises(VerificationError, match="nothing that it could prove"):
            verify(folder.root)
