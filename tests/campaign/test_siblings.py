"""Further campaigns under one setup: what they share, what is their own, and what they refuse."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.campaign.artefacts.folder import LABELS, MANIFEST, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.audit import cluster as cluster_audit
from pvcnn.campaign.audit import owner as owner_audit
from pvcnn.campaign.audit.choice import AuditChoice
from pvcnn.campaign.roles import tester
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.evaluator import EvaluatorKeys, SubmissionEvaluator
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.prover import ProverKeys, SubmissionProver
from pvcnn.campaign.verification import auditor
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import share
from tests.campaign import tiny
from tests.campaign.siblings import play_sibling


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[CampaignFolder, str]:
    """A campaign as `setup` leaves it, and the cluster's fingerprint."""
    folder, _, _, fingerprint = tiny.prepare(tmp_path_factory.mktemp("siblings") / "base")
    return folder, fingerprint


@pytest.fixture(scope="module")
def siblings(base: tuple[CampaignFolder, str]) -> list[CampaignFolder]:
    folder, fingerprint = base
    tester.TesterRole.create(folder, "camera")
    return [play_sibling(folder, fingerprint, folder.root.parent / name) for name in ("first", "second")]


def test_each_sibling_verifies_from_its_public_folder_alone(
    siblings: list[CampaignFolder], tmp_path: Path
) -> None:
    verdicts = []
    for number, folder in enumerate(siblings):
        shutil.copytree(folder.public.path, tmp_path / str(number) / "public")
        verdicts.append(auditor.verify(tmp_path / str(number)))
    assert all(verdict.verified and verdict.proved == 2 for verdict in verdicts)
    assert len({verdict.campaign for verdict in verdicts}) == 2
    assert len({verdict.owner for verdict in verdicts}) == 1


def test_a_sibling_is_audited_with_the_secrets_of_the_first(
    base: tuple[CampaignFolder, str], siblings: list[CampaignFolder], tmp_path: Path
) -> None:
    for number, folder in enumerate(siblings):
        choice = AuditChoice.make(folder.public, b"public randomness", 1)
        with pytest.raises(CampaignError, match="missing"):
            owner_audit.open_for_audit(folder, choice)
        owners = owner_audit.open_for_audit(folder, choice, base[0])
        clusters = cluster_audit.open_for_audit(folder, choice, base[0])
        shutil.copytree(folder.root, tmp_path / str(number), ignore=shutil.ignore_patterns("private"))
        copied = CampaignFolder(tmp_path / str(number))
        assert owner_audit.audit_owner(copied, choice, owners).honest
        assert cluster_audit.audit_cluster(copied, choice, clusters).honest
    other = AuditChoice.make(siblings[0].public, b"public randomness", 1)
    with pytest.raises(VerificationError, match="another campaign"):
        owner_audit.audit_owner(siblings[0], other, owners)


def test_a_proof_of_one_campaign_is_none_of_its_sibling(
    siblings: list[CampaignFolder], tmp_path: Path
) -> None:
    first, second = siblings
    shutil.copytree(first.public.path, tmp_path / "public")
    for path in (second.public.path / STATEMENTS.name).iterdir():
        shutil.copy(path, tmp_path / "public" / STATEMENTS.name / path.name)
    shutil.copy(second.public.path / "aggregate.cbor", tmp_path / "public" / "aggregate.cbor")
    with pytest.raises(VerificationError, match="another submission, registry or campaign"):
        auditor.verify(tmp_path)


def test_keys_are_shared_and_secrets_stay_in_the_first_folder(
    base: tuple[CampaignFolder, str], siblings: list[CampaignFolder]
) -> None:
    folder = siblings[0]
    assert folder.proving_key.stat().st_ino == base[0].proving_key.stat().st_ino
    private = folder.root / "private"
    kept = {str(path.relative_to(private)) for path in private.rglob("*") if path.is_file()}
    assert {name for name in kept if "remembered" not in name} == {"cluster/identity.cbor"}
    for path in private.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_without_a_label_nothing_can_be_opened(siblings: list[CampaignFolder]) -> None:
    folder = siblings[0]
    assert not list(folder.private_of_tester("camera").glob("label-*"))
    assert folder.public.indices(LABELS) == set()


def test_an_upload_for_one_campaign_is_turned_away_by_its_sibling(
    base: tuple[CampaignFolder, str], siblings: list[CampaignFolder], tmp_path: Path
) -> None:
    folder = base[0].create_sibling(tmp_path / "third")
    ledger = OwnerRole.open(base[0].root).begin_sibling(folder)
    for path in siblings[0].mail("owner").iterdir():
        shutil.copy(path, folder.mail("owner") / path.name)
    with pytest.raises(CampaignError, match="nothing to register"):
        ledger.close_registry()


def test_a_campaign_under_other_keys_is_refused(
    base: tuple[CampaignFolder, str], siblings: list[CampaignFolder], tmp_path: Path
) -> None:
    stranger = tiny.play(tmp_path / "stranger", 1, 1).folder
    keys = ProverKeys.open(base[0].root, ClusterSecrets.load_from(base[0].private("cluster")))
    with pytest.raises(VerificationError, match="no campaign under the keys"):
        SubmissionProver.with_keys(stranger.root, keys)
    with pytest.raises(VerificationError, match="no campaign under the keys"):
        SubmissionEvaluator.with_keys(stranger.root, EvaluatorKeys.open(base[0].root))


def test_a_replaced_manifest_begins_nothing(base: tuple[CampaignFolder, str], tmp_path: Path) -> None:
    """Even one by the same owner: of another campaign, which could name other keys."""
    other = tiny.prepare(tmp_path / "other")[0]
    mine = CampaignFolder(tmp_path / "mine")
    shutil.copytree(base[0].root, mine.root)
    original = Manifest.from_bytes(mine.public.read(MANIFEST))
    owner = OwnerRole.open(mine.root)
    renamed = replace(original, campaign=bytes(32)).signed(owner._identity.signing)
    for data in (other.public.read(MANIFEST), renamed.to_bytes()):
        mine.public.file(MANIFEST).write_bytes(data)
        with pytest.raises(VerificationError, match="not the one that this owner signed"):
            owner.begin_sibling(base[0].create_sibling(tmp_path / os.urandom(4).hex()))


def test_a_folder_in_use_is_refused(base: tuple[CampaignFolder, str], siblings: list[CampaignFolder]) -> None:
    with pytest.raises(CampaignError, match="not an empty directory"):
        base[0].create_sibling(siblings[0].root)
    with pytest.raises(CampaignError, match="exists already"):
        OwnerRole.open(base[0].root).begin_sibling(siblings[0])


def test_sharing_copies_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(np.arange(300_000).tobytes())
    source.chmod(0o600)
    real_link = os.link

    def link(old: Path, new: Path, *, follow_symlinks: bool = True) -> None:
        if Path(old) == source:
            raise PermissionError("no links here")
        real_link(old, new)

    monkeypatch.setattr(os, "link", link)
    share(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(CampaignError, match="exists already"):
        share(source, target)
    with pytest.raises(CampaignError, match="cannot share"):
        share(tmp_path / "absent", tmp_path / "other")
