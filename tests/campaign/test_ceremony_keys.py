"""Campaigns with the keys of a ceremony: what `setup` takes, what `verify` says, and what both refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pvcnn.aggregate.reference_string import AggregationVerifierKey, aggregation_setup
from pvcnn.algebra.points import G1Point
from pvcnn.campaign.artefacts.folder import (
    AGGREGATION_VERIFIER_KEY,
    CEREMONY,
    MANIFEST,
    VERIFICATION_KEY,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.roles.adopted_keys import adopt_keys, check_adopted
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.verification.auditor import verify
from pvcnn.ceremony.circuit_ceremony import CIRCUIT_KEY, CircuitCeremony
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.cli.main import run
from pvcnn.compute.bundle import make_bundle
from pvcnn.errors import CampaignError, DecodeError, PvcnnError, VerificationError
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from tests.aggregate import standalone
from tests.campaign import ceremonial
from tests.campaign.ceremonial import Ceremonial, begin, hold_circuit, public_part
from tests.campaign.hostile import damaged, flipped
from tests.campaign.joints import joined, package_code, script_code
from tests.campaign.revealing import CORRECT, revealing
from tests.campaign.test_published import sign_for
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import Played

script = standalone.load_campaign()
chain = standalone.load_part("ceremony_chain")
read_key, read_string = cache(script.read_key), cache(script.read_string)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """What is tiny takes longer on several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PVCNN_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def made(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Ceremonial:
    """Not to be changed."""
    return ceremonial.play(tmp_path_factory.mktemp("ceremonial"))


@pytest.fixture(scope="module")
def begun(made: Ceremonial, tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """Another campaign with the same program, after `keygen`. Not to be changed."""
    return begin(tmp_path_factory.mktemp("begun") / "campaign", public_part())


@pytest.fixture
def tampered(made: Ceremonial, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(made.folder.root, tmp_path / "played")
    return CampaignFolder(tmp_path / "played")


@pytest.fixture
def fresh(begun: CampaignFolder, tmp_path: Path) -> CampaignFolder:
    shutil.copytree(begun.root, tmp_path / "fresh")
    return CampaignFolder(tmp_path / "fresh")


@pytest.fixture
def ceremony(made: Ceremonial, tmp_path: Path) -> Path:
    """A copy of the ceremony's folder."""
    shutil.copytree(made.ceremony, tmp_path / "circuit")
    return tmp_path / "circuit"


@pytest.fixture(scope="module")
def other(made: Ceremonial) -> CeremonyRecord:
    """The record of another ceremony for the same circuit, on the same powers."""
    path = hold_circuit(made.ceremony.parent, public_part(), name="other-circuit")
    return CeremonyRecord.from_bytes((path / "record.cbor").read_bytes())


def test_a_joint_folder_holds_the_record(
    made: Ceremonial, played: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says of a ceremony, too, that the aggregate relies on it, if it does."""
    campaigns = {"ceremony": made.folder, "party": played.folder}
    folder = joined(campaigns, tmp_path / "joint")
    verdict = verify_joint(folder.path)
    assert verdict.verified
    setup = made.record.summary()
    assert dict(verdict.campaigns)["ceremony"].setup.startswith(setup)
    folded = replace(verdict, scheme="snarkpack", relied_on=("ceremony",))
    assert any(line.startswith(f"Its {setup}") for line in folded.sentences())
    assert script_code(folder) == 0
    assert setup in capsys.readouterr().out
    folder.public("ceremony").file(CEREMONY).unlink()
    assert package_code(folder) in (1, 2)
    assert script_code(folder) in (1, 2)


class TestWhoMadeTheKeys:
    def test_both_verifiers_say_it(self, made: Ceremonial, capsys: pytest.CaptureFixture[str]) -> None:
        digest = file_digest(made.folder.public.read(CEREMONY)).hex()
        alone = "ann alone for the powers: do not rely on it against ann"
        line = f"setup: ceremony of 1 contributor ({alone}), transcript digest {digest}"
        verdict = verify(made.folder.public.path)
        assert verdict.verified
        assert line in verdict.sentences()
        report = verdict.to_json()
        assert (report["setup_party"], report["setup"]) == ("", line)
        assert report["ceremony"] == {"digest": digest, "contributors": ["ann", "bob"]}
        assert code_of(made.folder) == 0
        printed = capsys.readouterr().out
        assert line in printed.splitlines()
        assert "`pvcnn ceremony verify FOLDER` must print the same digest" in printed
        assert run(["verify", str(made.folder.root)]) == 0
        assert line in " ".join(capsys.readouterr().out.split())

    def test_the_record_does_not_show_everything(self, made: Ceremonial) -> None:
        verdict = verify(made.folder.root)
        for weights, what in (("committed", "program"), ("published", "program and published weights")):
            said = replace(verdict, weights=weights).key_matches_program
            assert said.startswith(f"key matches {what}: shown by the ceremony's whole transcript")
            assert "`pvcnn ceremony verify FOLDER`" in said
            assert "trusted" not in said
        assert verdict.key_matches_program == verdict.to_json()["key_matches_program"]

    def test_a_single_party_is_named(self, played: Played) -> None:
        line = "setup: single party owner: do not rely on it against owner"
        report = verify(played.folder.root).to_json()
        assert line in report["sentences"]
        assert (report["setup"], report["ceremony"]) == (line, None)


class TestRecordsThatAreRefused:
    def test_a_changed_byte(self, tampered: CampaignFolder) -> None:
        path = tampered.public.file(CEREMONY)
        honest = path.read_bytes()
        for data in damaged(honest, flips=20):
            path.write_bytes(data)
            with pytest.raises(PvcnnError):
                verify(tampered.root)
        assert code_of(tampered) in (1, 2)

    def test_none(self, tampered: CampaignFolder) -> None:
        tampered.public.file(CEREMONY).unlink()
        with pytest.raises(CampaignError, match=r"ceremony\.cbor is missing.*`pvcnn setup --ceremony`"):
            verify(tampered.root)
        assert code_of(tampered) == 1

    def test_one_that_no_manifest_names(self, copy: CampaignFolder, made: Ceremonial) -> None:
        shutil.copy(made.folder.public.file(CEREMONY), copy.public.file(CEREMONY))
        with pytest.raises(VerificationError, match=r"there is ceremony\.cbor, and the manifest says"):
            verify(copy.root)
        assert code_of(copy) == 1

    def test_an_owner_who_hides_the_ceremony(self, tampered: CampaignFolder) -> None:
        sign_for(tampered, setup_party="owner", ceremony_digest=b"")
        with pytest.raises(VerificationError, match="one party made the keys"):
            verify(tampered.root)

    def test_of_another_ceremony(self, tampered: CampaignFolder, other: CeremonyRecord) -> None:
        tampered.public.file(CEREMONY).write_bytes(other.to_bytes())
        with pytest.raises(VerificationError, match="not the file that the manifest was signed for"):
            verify(tampered.root)
        assert code_of(tampered) == 1
        sign_for(tampered, ceremony_digest=other.digest())
        with pytest.raises(VerificationError, match="circuit's key is not the one"):
            verify(tampered.root)

    @pytest.mark.parametrize("name", ["proving_key_digest", "aggregation_key_digest"])
    def test_of_other_keys_of_the_prover(self, tampered: CampaignFolder, made: Ceremonial, name: str) -> None:
        wrong: dict[str, Any] = {name: b"x" * 32}
        record = replace(made.record, **wrong)
        tampered.public.file(CEREMONY).write_bytes(record.to_bytes())
        sign_for(tampered, ceremony_digest=record.digest())
        with pytest.raises(VerificationError, match="names another"):
            verify(tampered.root)

    @pytest.mark.parametrize("data", [b"", b"\xa0", Manifest.FORMAT.encode(), bytes(5 << 20)], ids=len)
    def test_that_no_decoder_takes(self, tampered: CampaignFolder, data: bytes) -> None:
        """A dishonest owner can sign for any bytes."""
        tampered.public.file(CEREMONY).write_bytes(data)
        sign_for(tampered, ceremony_digest=file_digest(data))
        with pytest.raises(DecodeError):
            verify(tampered.root)


Change = Callable[[CeremonyRecord], dict[str, Any]]


def forged_proof(record: CeremonyRecord) -> dict[str, Any]:
    first, *others = record.powers_contributions
    proof = replace(first.proofs[0], response=first.proofs[0].response ^ 1)
    return {"powers_contributions": (replace(first, proofs=(proof, *first.proofs[1:])), *others)}


FORGERIES: list[tuple[Change, str]] = [
    (forged_proof, "proof of knowledge of tau"),
    (lambda record: {"powers_contributions": record.powers_contributions[:-1]}, "no beacon has closed it"),
    (lambda record: {"powers_contributions": record.powers_contributions[1:]}, "does not build on"),
    (lambda record: {"powers": replace(record.powers, nonce=bytes(32))}, "does not build on"),
    (lambda record: {"circuit": replace(record.circuit, powers=bytes(32))}, "does not build on"),
    (lambda record: {"circuit": replace(record.circuit, frames=2)}, "does not build on"),
    (lambda record: {"circuit_contributions": record.powers_contributions}, "does not build on"),
    (lambda record: {"circuit_contributions": record.circuit_contributions[:-1]}, "no beacon has closed it"),
    (lambda _: {"circuit_key_digest": bytes(32)}, "circuit's key is not the one"),
]


@pytest.mark.parametrize(("change", "complaint"), FORGERIES)
def test_both_verifiers_follow_the_chains(made: Ceremonial, change: Change, complaint: str) -> None:
    public = made.folder.public
    forged = replace(made.record, **change(made.record))
    key, string = public.read(VERIFICATION_KEY), public.read(AGGREGATION_VERIFIER_KEY)
    with pytest.raises(VerificationError, match=complaint):
        forged.check(VerificationKey.from_bytes(key), AggregationVerifierKey.from_bytes(string))
    assert standalone.exit_code(lambda: by_script(made, forged, key, string)) in (1, 2)


def by_script(made: Ceremonial, record: CeremonyRecord, key: bytes, string: bytes) -> str:
    """The second verifier's line about a record."""
    manifest = script.Campaign(made.folder.public.path).manifest
    line: str = chain.check_record(record.to_bytes(), manifest, key, read_key(key), read_string(string))
    return line


def test_the_second_verifier_compares_the_points(made: Ceremonial, other: CeremonyRecord) -> None:
    """A forger may write any digest into a record: the chain leads to other secrets all the same."""
    public = made.folder.public
    key, string = public.read(VERIFICATION_KEY), public.read(AGGREGATION_VERIFIER_KEY)
    forged = replace(
        other,
        circuit_key_digest=made.record.circuit_key_digest,
        proving_key_digest=made.record.proving_key_digest,
    )
    assert standalone.exit_code(lambda: by_script(made, forged, key, string)) == 1


def test_the_second_verifier_follows_a_circuit_with_labels(made: Ceremonial) -> None:
    """It has one segment more."""
    path = hold_circuit(made.ceremony.parent, revealing(public_part(), CORRECT), name="with-labels")
    record = CeremonyRecord.from_bytes((path / "record.cbor").read_bytes())
    keys = path / "keys"
    bare = CircuitKey.from_bytes((keys / CIRCUIT_KEY).read_bytes())
    key, string = bare.commit(G1Point()).to_bytes(), (keys / AGGREGATION_VERIFIER_KEY.name).read_bytes()
    manifest = {f"{name}_digest": getattr(record, f"{name}_digest") for name in chain.KEY_DIGESTS}
    assert record.circuit.committed == ("in", "w", "lab", "aux")
    assert standalone.exit_code(lambda: by_script(made, record, key, string)) == 1  # it is another campaign's
    line = chain.check_record(record.to_bytes(), manifest, key, read_key(key), read_string(string))
    assert line == record.summary()


class TestTakingKeys:
    def test_from_the_command_line(
        self, fresh: CampaignFolder, made: Ceremonial, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["setup", str(fresh.root), "--json"]
        ceremony = ["--ceremony", str(made.ceremony)]
        for wrong in (["--party", "Carol"], ["--max-proofs", "2"]):
            assert run([*command, *ceremony, *wrong]) == 2
        assert run([*command, *ceremony, "--batch", "2"]) == 1
        assert "--batch 1" in " ".join(capsys.readouterr().err.split())
        assert run([*command, *ceremony, "--only", "manifest"]) == 2  # nobody has put keys there
        assert run([*command, *ceremony, "--only", "keys"]) == 0
        assert run([*command, "--only", "manifest", "--party", "Carol"]) == 2
        capsys.readouterr()
        assert run(["status", str(fresh.root)]) == 0
        assert "keys of a ceremony are made" in " ".join(capsys.readouterr().out.split())
        assert run([*command, *ceremony, "--only", "manifest"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["ceremony"], told["transcript_verified"]) == (made.record.digest().hex(), True)
        assert Manifest.from_bytes(fresh.public.read(MANIFEST)).ceremony_digest == made.record.digest()
        assert run([*command, *ceremony]) == 2  # once in a campaign
        assert run(["inspect", str(fresh.root)]) == 0
        assert "ceremony-record" in capsys.readouterr().out
        assert run(["inspect", str(fresh.public.file(CEREMONY)), "--json"]) == 0
        assert '"name": "bob"' in capsys.readouterr().out

    def test_an_owner_is_told_what_was_not_checked(
        self, fresh: CampaignFolder, made: Ceremonial, capsys: pytest.CaptureFixture[str]
    ) -> None:
        adopt_keys(fresh, made.ceremony)
        assert run(["setup", str(fresh.root), "--only", "manifest", "--json"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out.splitlines()[-1])["transcript_verified"] is False
        assert "only the ceremony's record was checked" in " ".join(printed.err.split())

    def test_after_an_interruption(
        self, fresh: CampaignFolder, made: Ceremonial, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("pvcnn.campaign.roles.adopted_keys.share", _stop_at(fresh.bare_verification_key))
            with pytest.raises(KeyboardInterrupt):
                adopt_keys(fresh, made.ceremony)
        with pytest.raises(CampaignError, match="a ceremony's record"):
            run_setup(fresh, 2)
        adopt_keys(fresh, made.ceremony)
        OwnerRole.open(fresh.root).publish_manifest()

    @pytest.mark.parametrize(
        ("public", "frames", "complaint"),
        [
            (public_part(bias_bits=9), 1, "was for program .*public/program.cbor"),
            (public_part(), 2, "submissions of 1 frames, not 2: set up with --batch 1"),
            (public_part(published=True), 1, "was for committed weights, .*published weights [0-9a-f]{64}"),
        ],
    )
    def test_of_another_circuit(
        self, made: Ceremonial, tmp_path: Path, public: Any, frames: int, complaint: str
    ) -> None:
        folder = begin(tmp_path / "campaign", public)
        with pytest.raises(VerificationError, match=complaint):
            adopt_keys(folder, made.ceremony, frames)
        untouched(folder)

    def test_of_other_segments(self, fresh: CampaignFolder, ceremony: Path) -> None:
        held = CircuitCeremony.open(ceremony)
        held.folder.describe(replace(held.description, committed=("in", "w", "lab", "aux")))
        with pytest.raises(VerificationError, match="segments pub, in, w, lab, aux"):
            adopt_keys(fresh, ceremony)
        untouched(fresh)

    def test_of_a_ceremony_that_does_not_hold(self, fresh: CampaignFolder, ceremony: Path) -> None:
        key = ceremony / "keys" / fresh.proving_key.name
        honest = key.read_bytes()
        key.unlink()
        with pytest.raises(CampaignError, match="ceremony finalize` again"):
            adopt_keys(fresh, ceremony)
        key.write_bytes(flipped(honest, len(honest) - 1))
        with pytest.raises(VerificationError, match="is not the one that the ceremony made"):
            adopt_keys(fresh, ceremony)
        key.write_bytes(honest)
        (link,) = (ceremony / "contributions").glob("*2.cbor")
        link.unlink()
        with pytest.raises(PvcnnError):
            adopt_keys(fresh, ceremony)
        (ceremony / "record.cbor").unlink()
        with pytest.raises(CampaignError, match="run `pvcnn ceremony finalize`"):
            adopt_keys(fresh, ceremony)
        with pytest.raises(DecodeError, match="a ceremony of powers"):
            adopt_keys(fresh, ceremony / "powers")
        untouched(fresh)


def _stop_at(path: Path) -> Callable[[Path, Path], None]:
    def share(source: Path, target: Path) -> None:
        if target == path:
            raise KeyboardInterrupt
        shutil.copy(source, target)

    return share


def untouched(folder: CampaignFolder) -> None:
    """No keys and no record."""
    assert not folder.proving_key.exists()
    assert not folder.bare_verification_key.exists()
    assert not folder.public.file(CEREMONY).exists()


class TestTheOwnersCheck:
    """Before it signs: whoever put the keys there may have put others."""

    def test_of_the_whole_transcript(
        self, fresh: CampaignFolder, made: Ceremonial, other: CeremonyRecord
    ) -> None:
        adopt_keys(fresh, made.ceremony)
        check_adopted(fresh, made.ceremony)
        fresh.public.file(CEREMONY).write_bytes(other.to_bytes())
        with pytest.raises(VerificationError, match="is not the record of the ceremony"):
            check_adopted(fresh, made.ceremony)
        with pytest.raises(VerificationError, match="circuit's key is not the one"):
            OwnerRole.open(fresh.root).publish_manifest()
        assert not fresh.public.file(MANIFEST).exists()

    def test_of_each_key(self, fresh: CampaignFolder, made: Ceremonial) -> None:
        adopt_keys(fresh, made.ceremony)
        owner, string = OwnerRole.open(fresh.root), aggregation_setup(2)
        for path, data, complaint in (
            (fresh.aggregation_key, string.to_bytes(), "another aggregation key"),
            (fresh.public.file(AGGREGATION_VERIFIER_KEY), string.verifier.to_bytes(), "aggregation's key"),
        ):
            honest = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
            with pytest.raises(VerificationError, match=complaint):
                owner.publish_manifest()
            path.write_bytes(honest)
        with pytest.raises(ValueError, match="'Carol' cannot be named as the setup party"):
            owner.publish_manifest("Carol")
        assert not fresh.public.file(MANIFEST).exists()
        assert owner.publish_manifest().setup_party == ""

    def test_of_a_single_partys_keys_beside_a_record(self, fresh: CampaignFolder, made: Ceremonial) -> None:
        run_setup(fresh, 2)
        shutil.copy(made.folder.public.file(CEREMONY), fresh.public.file(CEREMONY))
        with pytest.raises(VerificationError, match="circuit's key is not the one"):
            OwnerRole.open(fresh.root).publish_manifest()
        assert not fresh.public.file(MANIFEST).exists()


def test_siblings_and_jobs_take_the_record_along(made: Ceremonial, tmp_path: Path) -> None:
    folder = made.folder.create_sibling(tmp_path / "sibling")
    OwnerRole.open(made.folder.root).begin_sibling(folder)
    manifests = [Manifest.from_bytes(each.public.read(MANIFEST)) for each in (made.folder, folder)]
    assert manifests[0].shares_setup_with(manifests[1])
    assert not manifests[0].shares_setup_with(replace(manifests[1], ceremony_digest=b"x" * 32))
    assert file_digest(folder.public.read(CEREMONY)) == manifests[1].ceremony_digest
    (tmp_path / "bundle").mkdir()
    assert make_bundle(made.folder, tmp_path / "bundle", "job", [0]) == [0]
    assert (tmp_path / "bundle" / "public" / CEREMONY.name).exists()
