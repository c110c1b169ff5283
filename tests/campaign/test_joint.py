"""Campaigns that are joined: what both verifiers say of them, and what cannot be joined."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign.artefacts.answer import ClusterRefusal
from pvcnn.campaign.artefacts.folder import STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.joint import joiner
from pvcnn.campaign.joint.auditor import _refuse_doubles, verify_joint
from pvcnn.campaign.joint.folder import Joint, JointFolder, Member
from pvcnn.campaign.joint.joiner import Source, join
from pvcnn.campaign.roles.aggregator import aggregate_campaign, fold_here
from pvcnn.campaign.roles.proved import Proved, read_proved
from pvcnn.campaign.verification.auditor import Examined
from pvcnn.cli.main import run
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from tests.campaign import artefacts, tiny
from tests.campaign.joints import joined, package_code, script_code, sources

Campaigns = dict[str, CampaignFolder]


def test_both_verifiers_accept(several: Campaigns, tmp_path: Path) -> None:
    """Three campaigns, two keys, two owners; from their public parts alone."""
    folder = joined(several, tmp_path / "joint")
    verdict = verify_joint(folder.path)
    assert verdict.verified
    assert [name for name, _ in verdict.campaigns] == ["alpha", "beta", "gamma"]
    assert [each.proved for _, each in verdict.campaigns] == [1, 2, 1]
    assert (verdict.keys, verdict.scheme, verdict.relied_on) == (2, "packed", ())
    assert script_code(folder) == 0
    assert {path.name for path in folder.path.iterdir()} == {"joint.cbor", "aggregate.cbor", "campaigns"}
    assert (folder.path.stat().st_mode & 0o777) == 0o755
    assert {path.name for path in tmp_path.iterdir()} == {"joint"}
    assert not list(folder.path.rglob("campaigns/*/public/aggregate.cbor"))


def test_both_say_whose_reference_string_is_relied_on(
    several: Campaigns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is that of the first folder given; beta and gamma have the same."""
    folder = joined(several, tmp_path / "joint", "gamma", "alpha", "beta", scheme="snarkpack")
    verdict = verify_joint(folder.path)
    assert verdict.verified
    assert (verdict.keys, verdict.scheme, verdict.relied_on) == (2, "snarkpack", ("beta", "gamma"))
    assert script_code(folder) == 0
    said = capsys.readouterr().out
    assert "under the reference string of beta, gamma.\nIts setup: single party owner: " in said
    assert said.count("\nIts ") == 1
    assert said.endswith(f"Joint digest {folder.read().digest().hex()}.\nVALID\n")


def test_one_model_and_the_order_of_folders(several: Campaigns, tmp_path: Path) -> None:
    """Campaigns under one key are one group, and the order in which they are given changes nothing."""
    folders = [
        joined(several, tmp_path / str(number), *names, scheme="packed")
        for number, names in enumerate((("beta", "gamma"), ("gamma", "beta")))
    ]
    assert verify_joint(folders[0].path).keys == 1
    assert folders[0].aggregate.read_bytes() == folders[1].aggregate.read_bytes()
    assert folders[0].read() == folders[1].read()


def test_published_packed_aggregates_can_be_joined(several: Campaigns, tmp_path: Path) -> None:
    """By anyone, without the proofs; folded ones cannot."""
    published = {}
    for name in ("alpha", "beta"):
        published[name] = CampaignFolder(tmp_path / name)
        shutil.copytree(several[name].public.path, tmp_path / name / "public")
    folder = joined(published, tmp_path / "joint")
    assert folder.read() == joined(several, tmp_path / "again", "alpha", "beta").read()
    with pytest.raises(CampaignError, match=r"no campaign has keys/aggregation_key.bin for 3 proofs"):
        joined(published, tmp_path / "new", scheme="snarkpack")

    whole = CampaignFolder(tmp_path / "whole")
    shutil.copytree(several["beta"].root, whole.root)
    aggregate_campaign(whole, partial(fold_here, scheme="snarkpack"))
    shutil.rmtree(whole.proofs)
    with pytest.raises(CampaignError, match="whole: its proofs are folded and cannot be taken apart"):
        joined({"alpha": several["alpha"], "beta": whole}, tmp_path / "new")


def test_refused_submissions_are_joined_as_such(several: Campaigns, tmp_path: Path) -> None:
    beta = CampaignFolder(tmp_path / "beta")
    shutil.copytree(several["beta"].root, beta.root)
    cluster = Identity.load_from(beta.private("cluster"), "keygen").signing
    context = Proceedings.read(beta.public).submission(beta.public, 0).context
    refusal = ClusterRefusal(signer=cluster.public, context=context).signed(cluster)
    beta.outcome(context).write_bytes(ClusterOutcome(refusal=refusal).to_bytes())
    folder = joined({**several, "beta": beta}, tmp_path / "joint", "alpha", "beta")
    verdict = verify_joint(folder.path)
    assert verdict.verified
    assert (verdict.campaigns[1][1].proved, verdict.campaigns[1][1].refused) == (1, 1)
    assert script_code(folder) == 0


def test_a_missing_outcome_is_not_verified(several: Campaigns, tmp_path: Path) -> None:
    """A dishonest joiner leaves out a proof that was there, and makes a valid aggregate of the others."""
    folder = joined(several, tmp_path / "joint", "alpha", "gamma")
    beta = tmp_path / "beta"
    shutil.copytree(several["beta"].root, beta)
    public = CampaignFolder(beta).public
    proceedings = Proceedings.read(public)
    CampaignFolder(beta).outcome(proceedings.submission(public, 1).context).unlink()
    with pytest.raises(CampaignError, match="beta: submission 1 has no valid proof"):
        join([Source("alpha", several["alpha"].root), Source("beta", beta)], tmp_path / "new")
    shutil.rmtree(folder.path / "campaigns" / "gamma")
    shutil.copytree(public.path, folder.public("beta").path)
    (folder.public("beta").path / "aggregate.cbor").unlink()
    folder.public("beta").indexed(STATEMENTS, 1).unlink()
    joint = folder.read()
    members = (joint.members[0], Member.of("beta", proceedings))
    folder.file.write_bytes(Joint(members, joint.reference_string).to_bytes())
    replaced = joined(several, tmp_path / "honest", "alpha", "beta").aggregate.read_bytes()
    one_less = replaced.replace(b"groups\x82\x01\x02", b"groups\x82\x01\x01")
    assert one_less != replaced
    head, proofs = one_less.split(b"proofs\x59\x02\xd0")
    folder.aggregate.write_bytes(head + b"proofs\x59\x01\xe0" + proofs[:480] + proofs[720:])
    verdict = verify_joint(folder.path)
    assert not verdict.verified
    assert verdict.campaigns[1][1].missing == 1
    assert run(["verify", str(folder.path)]) == 1
    assert script_code(folder) == 1


class TestJoining:
    """What is refused leaves nothing behind."""

    def refused(self, match: str, given: list[Source], target: Path, **options: Any) -> None:
        before = set(target.parent.iterdir())
        with pytest.raises((CampaignError, DecodeError, VerificationError), match=match):
            join(given, target, **options)
        assert set(target.parent.iterdir()) == before

    def test_sets_that_are_none(self, several: Campaigns, tmp_path: Path) -> None:
        new, root = tmp_path / "new", several["alpha"].root
        self.refused("2 to 1024 campaigns", sources(several, "alpha"), new)
        twice = [Source("one", root), Source("two", root)]
        self.refused(f"{root} and {root} are the same campaign", twice, new)
        copied = tmp_path / "copied"
        shutil.copytree(root, copied)
        again = [Source("one", root), Source("two", copied)]
        self.refused(f"{root} and {copied} are the same campaign", again, new)
        same = [Source("one", root), Source("one", several["beta"].root)]
        self.refused("would both be named one: say NAME=", same, new)
        self.refused("'../one' cannot name", [Source("../one", root), *sources(several, "beta")], new)

    def test_places_in_use(self, several: Campaigns, tmp_path: Path) -> None:
        given = sources(several, "alpha", "beta")
        (tmp_path / "file").write_text("mine")
        self.refused("file is not an empty directory", given, tmp_path / "file")
        self.refused("not an empty directory", given, tmp_path)
        self.refused("one of the campaigns", given, several["alpha"].public.path / "new")
        (tmp_path / "empty").mkdir()
        assert join(given, tmp_path / "empty").verdict.verified

    def test_campaigns_that_are_not_finished(
        self, several: Campaigns, prepared: tuple[CampaignFolder, str], tmp_path: Path
    ) -> None:
        unproved = tiny.play_to_answers(tmp_path / "unproved", 1, 1)
        for folder, match in (
            (prepared[0].root, f"{prepared[0].root}: there are neither proofs nor an aggregate"),
            (unproved.root, "unproved: there are neither proofs nor an aggregate: `pvcnn prove`"),
            (tmp_path / "nowhere", "nowhere: .*manifest.cbor is missing"),
        ):
            self.refused(match, [*sources(several, "alpha"), Source("two", folder)], tmp_path / "new")

    def test_malformed_folders(self, several: Campaigns, tmp_path: Path) -> None:
        beta = CampaignFolder(tmp_path / "beta")
        shutil.copytree(several["beta"].root, beta.root)
        given = [*sources(several, "alpha"), Source("beta", beta.root)]
        stranger = beta.public.path / "notes.txt"
        stranger.write_text("nothing")
        self.refused("notes.txt does not belong in a public folder", given, tmp_path / "new")
        stranger.unlink()
        plan = beta.public.path / "encryption_plan.cbor"
        shutil.copy(several["alpha"].public.path / "program.cbor", plan)
        self.refused("campaign beta: encryption_plan.cbor is not the file", given, tmp_path / "new")
        shutil.copy(several["beta"].public.path / "encryption_plan.cbor", plan)
        beta.aggregation_key.write_bytes(several["alpha"].aggregation_key.read_bytes())
        given.reverse()
        self.refused("aggregation_key.bin: the manifest", given, tmp_path / "new", scheme="snarkpack")

    def test_more_than_an_aggregate_may_have(
        self, several: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = sources(several)
        for name, most in (("MAX_PROOFS", 3), ("MAX_GROUPS", 1)):
            with monkeypatch.context() as patched:
                patched.setattr(joiner, name, most)
                self.refused("and these campaigns 4 under 2", given, tmp_path / "new")

    def test_the_first_string_that_serves_as_many_is_taken(
        self, several: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Alpha's is said to serve fewer than there are."""

        def small(path: Path) -> Proved:
            found = read_proved(path)
            return replace(found, folds_up_to=2) if path == several["alpha"].root else found

        monkeypatch.setattr(joiner, "read_proved", small)
        done = join(sources(several, "alpha", "beta"), tmp_path / "new", "snarkpack")
        assert done.verdict.relied_on == ("beta",)

    def test_an_interruption_leaves_nothing(
        self, several: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(joiner, "verify_joint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            join(sources(several, "alpha", "beta"), tmp_path / "new")
        assert not list(tmp_path.iterdir())

    def test_names_are_those_of_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "lenet" / "public").mkdir(parents=True)
        (tmp_path / "a=b").mkdir()
        assert Source.parse("lenet") == Source("lenet", Path("lenet"))
        assert Source.parse("lenet/public/").name == "lenet"
        assert Source.parse("one=a=b") == Source("one", Path("a=b"))
        for text in ("a=b", "Lenet", "/", "..=lenet", "=lenet"):
            with pytest.raises(CampaignError, match="say NAME="):
                Source.parse(text)


def test_two_registries_of_one_campaign_and_an_upload_in_two() -> None:
    """Neither occurs where all are honest, and either would count something twice."""

    def examined(campaign: str) -> Examined:
        proceedings = Proceedings(
            artefacts.manifest(campaign=artefacts.some_digest(campaign)), artefacts.registry()
        )
        nothing: Any = None
        return Examined(nothing, proceedings, nothing, nothing, ())

    digests = [artefacts.some_digest(letter) for letter in "xy"]
    joint = Joint(tuple(Member(name, digest, digest) for name, digest in zip("ab", digests, strict=True)))
    with pytest.raises(VerificationError, match="a and b are the same campaign"):
        _refuse_doubles(joint, [examined("c"), examined("c")])
    with pytest.raises(VerificationError, match="an upload is registered in both a and b"):
        _refuse_doubles(joint, [examined("c"), examined("d")])


def test_the_commands(several: Campaigns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "joint"
    given = [f"{name}={several[name].root}" for name in ("alpha", "beta")]
    assert run(["join", str(target), *given, "--scheme", "snarkpack", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["campaigns"] == {"alpha": 1, "beta": 2}
    assert (told["scheme"], told["reference_string_of"]) == ("snarkpack", ["alpha"])
    assert told["bytes"]["aggregate"] == told["bytes"]["snarkpack"] > told["bytes"]["packed"]
    assert run(["join", str(target), *given]) == 2
    assert "never replaced" in " ".join(capsys.readouterr().err.split())

    assert run(["verify", str(target), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verified"] is True
    assert report["joint"] == told["joint"]
    assert {name: each["proved"] for name, each in report["campaigns"].items()} == told["campaigns"]
    assert run(["verify", str(target)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    order = [
        printed.index(text)
        for text in ("campaign alpha, owner", "campaign beta, owner", " joint ", "VERIFIED")
    ]
    assert order == sorted(order)
    for sentence in (
        "2 campaigns, 3 submissions registered, 3 proved: one aggregate proves all of these, under 2 "
        "verification keys.",
        "folded under the reference string of alpha: whoever knows its secrets can forge the statements of "
        "every campaign here.",
        "Its setup: single party owner",
        f"Joint digest {told['joint']}",
        "the word of whoever joined them",
    ):
        assert sentence in printed

    assert run(["join", str(tmp_path / "packed"), *given]) == 0
    assert "3 proofs under 2 verification keys, packed" in " ".join(capsys.readouterr().err.split())
    assert run(["inspect", str(target), "--json"]) == 0
    files = {each["file"]: each["format"] for each in json.loads(capsys.readouterr().out)["files"]}
    assert files["joint.cbor"] == "pvcnn-joint"
    assert "campaigns/alpha/public/manifest.cbor" in files
    assert run(["inspect", str(target / "joint.cbor"), "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["campaigns"]] == ["alpha", "beta"]


def test_a_folder_without_its_campaigns_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "joint.cbor").write_bytes(b"")
    assert package_code(JointFolder(tmp_path)) == script_code(JointFolder(tmp_path)) == 2
    assert run(["verify", str(tmp_path)]) == 2
