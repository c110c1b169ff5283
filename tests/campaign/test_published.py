"""Campaigns whose public part has published weights: they lie in public/, named by key and manifest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvcnn.algebra.curve import g1_to_points
from pvcnn.algebra.points import encode_g1
from pvcnn.campaign.artefacts.folder import (
    LABEL_KEY,
    MANIFEST,
    REGISTRY,
    VERIFICATION_KEY,
    WEIGHTS,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.roles.cluster import ClusterRole, make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.verification.auditor import verify
from pvcnn.cli.main import run
from pvcnn.compute.bundle import make_bundle
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.program.published import decode_published, encode_published
from pvcnn.program.weights import Weights
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proving_key import ProvingKey
from tests.campaign.hostile import flipped
from tests.campaign.test_public_folder import Needles, secrets_of
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import Played, play, private_part, public_part


@pytest.fixture(scope="module")
def open_book(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two testers with a submission each; the weights are published. Not to be changed."""
    public = replace(public_part(1), published=True)
    return play(tmp_path_factory.mktemp("published") / "campaign", testers=2, each=1, public=public)


@pytest.fixture
def tampered(open_book: Played, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(open_book.folder.root, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


def other_weights(part: Weights) -> bytes:
    """The file of weights of which one is another."""
    weight = {name: values.copy() for name, values in part.weight.items()}
    weight["second"][0, 0] = 1 if weight["second"][0, 0] != 1 else 2
    return encode_published(Weights(part.program, weight, dict(part.bias), part.blinding))


def sign_for(folder: CampaignFolder, **changes: object) -> None:
    """A dishonest owner's manifest for files as they are now, and a registry of nobody for it."""
    key = Identity.load_from(folder.private("owner"), "split").signing
    manifest = replace(Manifest.from_bytes(folder.public.read(MANIFEST)), **changes).signed(key)  # type: ignore[arg-type]
    folder.public.file(MANIFEST).write_bytes(manifest.to_bytes())
    folder.public.file(REGISTRY).write_bytes(Registry.close(key, manifest.digest(), []).to_bytes())
    for name in ("answers", "statements", "labels"):
        shutil.rmtree(folder.public.path / name)
    (folder.public.path / "aggregate.cbor").unlink()


def test_it_verifies_and_says_so(open_book: Played, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verify(open_book.folder.root)
    assert (verdict.verified, verdict.proved, verdict.weights) == (True, 2, "published")
    text = "\n".join(verdict.sentences())
    assert "the outputs of the published public part" in text
    assert "key matches program and published weights: trusted to owner." in text
    assert code_of(open_book.folder) == 0
    assert "the outputs of the published public part" in capsys.readouterr().out


def test_anyone_reads_the_weights_and_decides_alike(open_book: Played) -> None:
    data = open_book.folder.public.read(WEIGHTS)
    weights = decode_published(open_book.public.program, data)
    assert np.array_equal(weights.flat(), open_book.public.weights.flat())
    key = VerificationKey.from_bytes(open_book.folder.public.read(VERIFICATION_KEY))
    assert key.weights_digest == weights.published_digest()


def test_nothing_is_sealed_or_blinded(open_book: Played) -> None:
    """D_w hides nothing, and no other secret is public."""
    folder = open_book.folder
    assert not folder.sealed_weights.exists()
    key = ProvingKey.load(folder.proving_key)
    row = key.committed.index("w")
    (nothing,) = g1_to_points(key.blinding_gamma_g1[row : row + 1])
    assert Manifest.from_bytes(folder.public.read(MANIFEST)).weights_commitment == encode_g1(nothing)
    hidden = [
        (name, secret)
        for name, secret in secrets_of(open_book)
        if not name.startswith(("public part's weights", "owner/weights.cbor"))
    ]
    needles = Needles(hidden)
    for path in folder.public.path.rglob("*"):
        assert not path.is_file() or not needles.found_in(path.read_bytes()), path


class TestAltered:
    def test_a_changed_byte(self, tampered: CampaignFolder) -> None:
        path = tampered.public.file(WEIGHTS)
        honest = path.read_bytes()
        for position in (0, 20, len(honest) // 2, len(honest) - 1):
            path.write_bytes(flipped(honest, position))
            with pytest.raises(VerificationError, match=r"weights\.safetensors is not the file"):
                verify(tampered.root)
        assert code_of(tampered) == 1
        for data in (honest[:-1], honest + b"\0", b""):
            path.write_bytes(data)
            with pytest.raises(VerificationError):
                verify(tampered.root)

    def test_other_weights_under_the_owners_signature(
        self, tampered: CampaignFolder, open_book: Played
    ) -> None:
        """The key names the weights that it was made with."""
        data = other_weights(open_book.public.weights)
        tampered.public.file(WEIGHTS).write_bytes(data)
        sign_for(tampered, weights_digest=file_digest(data))
        with pytest.raises(VerificationError, match="not those that the key names"):
            verify(tampered.root)
        assert code_of(tampered) == 1

    def test_a_manifest_that_says_they_are_committed(self, tampered: CampaignFolder) -> None:
        sign_for(tampered, weights_digest=b"")
        with pytest.raises(VerificationError, match="disagree on whether the weights are published"):
            verify(tampered.root)
        tampered.public.file(WEIGHTS).unlink()
        with pytest.raises(VerificationError, match="disagree"):
            verify(tampered.root)

    def test_a_missing_file_is_named_with_its_step(self, tampered: CampaignFolder) -> None:
        tampered.public.file(WEIGHTS).unlink()
        with pytest.raises(CampaignError, match=r"weights\.safetensors.*`pvcnn split`"):
            verify(tampered.root)
        assert code_of(tampered) == 1

    def test_weights_beside_a_campaign_that_commits_to_its(
        self, copy: CampaignFolder, open_book: Played
    ) -> None:
        """A file that nothing covers could say anything."""
        shutil.copy(open_book.folder.public.file(WEIGHTS), copy.public.file(WEIGHTS))
        with pytest.raises(VerificationError, match="the manifest says that they are committed"):
            verify(copy.root)
        assert code_of(copy) == 1
        copy.public.file(WEIGHTS).unlink()
        copy.public.file(LABEL_KEY).write_bytes(b"anything")
        with pytest.raises(VerificationError, match="nothing that takes labels"):
            verify(copy.root)

    def test_the_cluster_does_not_prove_with_them(self, tampered: CampaignFolder, open_book: Played) -> None:
        tampered.public.file(WEIGHTS).write_bytes(other_weights(open_book.public.weights))
        with pytest.raises(VerificationError, match="other published weights"):
            ClusterRole.open(tampered.root)


class TestSetup:
    def test_weights_that_somebody_put_there_are_not_signed_for(
        self, tmp_path: Path, open_book: Played
    ) -> None:
        """The owner commits to its weights; the setup party finds a file that makes them public."""
        folder = CampaignFolder.create(tmp_path / "campaign")
        owner = OwnerRole.create(folder)
        owner.publish_split(private_part(1), public_part(1))
        shutil.copy(open_book.folder.public.file(WEIGHTS), folder.public.file(WEIGHTS))
        make_keys(folder)
        run_setup(folder, 2)
        with pytest.raises(VerificationError, match="for other weights"):
            owner.publish_manifest()
        assert not folder.public.file(MANIFEST).exists()

    def test_keys_for_other_weights_are_not_signed_for(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        owner = OwnerRole.create(folder)
        published = replace(public_part(1), published=True)
        owner.publish_split(private_part(1), published)
        make_keys(folder)
        honest = folder.public.file(WEIGHTS).read_bytes()
        folder.public.file(WEIGHTS).write_bytes(other_weights(published.weights))
        run_setup(folder, 2)
        folder.public.file(WEIGHTS).write_bytes(honest)
        with pytest.raises(VerificationError, match="for other weights"):
            owner.publish_manifest()


def test_a_job_takes_the_published_file_along(open_book: Played, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert make_bundle(open_book.folder, tmp_path / "bundle", "job", [0, 1]) == [0, 1]
    assert (tmp_path / "bundle" / "public" / WEIGHTS.name).exists()
    assert not list((tmp_path / "bundle" / "mail").rglob("weights*"))


def test_inspect_shows_them(open_book: Played, capsys: pytest.CaptureFixture[str]) -> None:
    folder = open_book.folder
    assert run(["inspect", str(folder.root)]) == 0
    assert "weights.safetensors" in capsys.readouterr().out
    assert run(["inspect", str(folder.public.file(WEIGHTS)), "--json"]) == 0
    shown = capsys.readouterr().out
    assert '"first.weight"' in shown
    assert "pvcnn-published-weights" in shown
    assert run(["inspect", str(folder.proving_key)]) == 0
    folder_copy = folder.root / "not-one.safetensors"
    folder_copy.write_bytes(b"\x05\0\0\0\0\0\0\0[1,2]")
    assert run(["inspect", str(folder_copy)]) == 2
    folder_copy.unlink()
