"""What both verifiers must refuse in a joint folder."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pvcnn.aggregate.aggregator import aggregate_groups
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.campaign.artefacts.folder import (
    AGGREGATION_VERIFIER_KEY,
    REGISTRY,
    STATEMENTS,
    VERIFICATION_KEY,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import file_digest
from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.joint.folder import Joint, JointFolder, Member, by_key
from pvcnn.campaign.roles.proved import read_proved
from pvcnn.encoding import encode
from pvcnn.errors import DecodeError, VerificationError
from tests.aggregate.standalone import exit_code
from tests.campaign.hostile import damaged, flipped
from tests.campaign.joints import joined, package_code, rewrite, script, script_code

Campaigns = dict[str, CampaignFolder]


@pytest.fixture(scope="module")
def packed(several: Campaigns, tmp_path_factory: pytest.TempPathFactory) -> JointFolder:
    """Not to be changed."""
    return joined(several, tmp_path_factory.mktemp("packed") / "joint", scheme="packed")


@pytest.fixture(scope="module")
def folded(several: Campaigns, tmp_path_factory: pytest.TempPathFactory) -> JointFolder:
    """Of alpha and beta, under alpha's reference string. Not to be changed."""
    target = tmp_path_factory.mktemp("folded") / "joint"
    return joined(several, target, "alpha", "beta", scheme="snarkpack")


def copied(folder: JointFolder, target: Path) -> JointFolder:
    shutil.copytree(folder.path, target)
    return JointFolder(target)


def swap(first: Path, second: Path) -> None:
    between = first.with_name("between")
    first.rename(between)
    second.rename(first)
    between.rename(second)


def leave_out(folder: JointFolder, _: Campaigns) -> None:
    shutil.rmtree(folder.path / "campaigns" / "gamma")


def leave_out_and_rename(folder: JointFolder, given: Campaigns) -> None:
    leave_out(folder, given)
    rewrite(folder)


def add(folder: JointFolder, _: Campaigns) -> None:
    shutil.copytree(folder.path / "campaigns" / "gamma", folder.path / "campaigns" / "delta")


def add_one_that_the_aggregate_lacks(folder: JointFolder, given: Campaigns) -> None:
    shutil.rmtree(folder.path)
    joined(given, folder.path, "alpha", "beta", scheme="packed")
    shutil.copytree(given["gamma"].public.path, folder.public("gamma").path)
    (folder.public("gamma").path / "aggregate.cbor").unlink()
    rewrite(folder)


def swap_campaigns(folder: JointFolder, _: Campaigns) -> None:
    swap(folder.path / "campaigns" / "alpha", folder.path / "campaigns" / "beta")


def swap_campaigns_of_two_keys(folder: JointFolder, given: Campaigns) -> None:
    """Groups of other sizes, in another order."""
    swap_campaigns(folder, given)
    rewrite(folder)


def swap_campaigns_of_one_key(folder: JointFolder, _: Campaigns) -> None:
    """The sizes of groups stay, the order of statements does not."""
    swap(folder.path / "campaigns" / "beta", folder.path / "campaigns" / "gamma")
    rewrite(folder)


def move_a_statement(folder: JointFolder, _: Campaigns) -> None:
    """Of one campaign into another, with another key."""
    data = folder.public("alpha").read_indexed(STATEMENTS, 0)
    folder.public("beta").indexed(STATEMENTS, 0).write_bytes(data)


def move_a_proof_to_another_group(folder: JointFolder, _: Campaigns) -> None:
    made = PackedAggregate.from_bytes(folder.read_aggregate())
    assert made.groups == (1, 3)
    folder.aggregate.write_bytes(replace(made, groups=(2, 2)).to_bytes())


def exchange_proofs_of_two_groups(folder: JointFolder, _: Campaigns) -> None:
    """Under each key the other's proof."""
    made = PackedAggregate.from_bytes(folder.read_aggregate())
    first, second, *others = made.contents
    folder.aggregate.write_bytes(replace(made, contents=(second, first, *others)).to_bytes())


def put_groups_in_another_order(folder: JointFolder, _: Campaigns) -> None:
    made = PackedAggregate.from_bytes(folder.read_aggregate())
    first, *others = made.contents
    turned = replace(made, groups=made.groups[::-1], contents=(*others, first))
    folder.aggregate.write_bytes(turned.to_bytes())


def second_registry(given: Campaigns) -> bytes:
    """Beta's owner signs another one, without the inconvenient submission."""
    owner = Identity.load_from(given["beta"].root.parent / "base" / "private" / "owner", "split").signing
    signed = Registry.from_bytes(given["beta"].public.read(REGISTRY))
    return Registry.close(owner, signed.manifest_digest, signed.registrations[:1]).to_bytes()


def replace_a_registry(folder: JointFolder, given: Campaigns) -> None:
    folder.public("beta").file(REGISTRY).write_bytes(second_registry(given))
    folder.public("beta").indexed(STATEMENTS, 1).unlink()
    (folder.public("beta").path / "answers" / "000001.cbor").unlink()


def replace_a_registry_and_name_it(folder: JointFolder, given: Campaigns) -> None:
    replace_a_registry(folder, given)
    rewrite(folder)


def take_the_registry_of_another(folder: JointFolder, _: Campaigns) -> None:
    data = folder.public("gamma").read(REGISTRY)
    folder.public("beta").file(REGISTRY).write_bytes(data)


def take_the_aggregate_of_another_set(folder: JointFolder, given: Campaigns) -> None:
    another = joined(given, folder.path.with_name("another"), "alpha", "gamma", scheme="packed")
    shutil.copy(another.aggregate, folder.aggregate)


def take_the_aggregate_of_one(folder: JointFolder, given: Campaigns) -> None:
    shutil.copy(given["beta"].public.path / "aggregate.cbor", folder.aggregate)


def replace_a_verification_key(folder: JointFolder, _: Campaigns) -> None:
    data = folder.public("alpha").read(VERIFICATION_KEY)
    folder.public("beta").file(VERIFICATION_KEY).write_bytes(data)


def name_a_reference_string(folder: JointFolder, _: Campaigns) -> None:
    rewrite(folder, reference_string=file_digest(folder.public("alpha").read(AGGREGATION_VERIFIER_KEY)))


def name_a_reference_string_of_nobody(folder: JointFolder, _: Campaigns) -> None:
    rewrite(folder, reference_string=bytes(32))


def name_another_registry(folder: JointFolder, _: Campaigns) -> None:
    *others, last = folder.read().members
    members = (*others, replace(last, registry_digest=bytes(32)))
    folder.file.write_bytes(Joint(members).to_bytes())


def prove_nothing(folder: JointFolder, _: Campaigns) -> None:
    folder.public("alpha").indexed(STATEMENTS, 0).unlink()


def keep_an_own_aggregate(folder: JointFolder, given: Campaigns) -> None:
    shutil.copy(given["beta"].public.path / "aggregate.cbor", folder.public("beta").path)


def stranger(*place: str) -> Callable[[JointFolder, Campaigns], None]:
    def add_stranger(folder: JointFolder, _: Campaigns) -> None:
        folder.path.joinpath(*place, "notes.txt").write_text("nothing")

    return add_stranger


def link_to_a_campaign(folder: JointFolder, _: Campaigns) -> None:
    target = folder.path.with_name("elsewhere")
    (folder.path / "campaigns" / "beta").rename(target)
    (folder.path / "campaigns" / "beta").symlink_to(target)


def link_to_a_public_folder(folder: JointFolder, _: Campaigns) -> None:
    target = folder.path.with_name("elsewhere")
    folder.public("beta").path.rename(target)
    folder.public("beta").path.symlink_to(target)


def link_to_the_names(folder: JointFolder, _: Campaigns) -> None:
    folder.file.rename(folder.path.with_name("elsewhere"))
    folder.file.symlink_to(folder.path.with_name("elsewhere"))


def drop_the_aggregate(folder: JointFolder, _: Campaigns) -> None:
    folder.aggregate.unlink()


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (leave_out, 1),
        (leave_out_and_rename, 1),
        (add, 1),
        (add_one_that_the_aggregate_lacks, 1),
        (swap_campaigns, 1),
        (swap_campaigns_of_two_keys, 1),
        (swap_campaigns_of_one_key, 1),
        (move_a_statement, 1),
        (move_a_proof_to_another_group, 1),
        (exchange_proofs_of_two_groups, 1),
        (put_groups_in_another_order, 1),
        (replace_a_registry, 1),
        (replace_a_registry_and_name_it, 1),
        (take_the_registry_of_another, 1),
        (take_the_aggregate_of_another_set, 1),
        (take_the_aggregate_of_one, 1),
        (replace_a_verification_key, 1),
        (name_a_reference_string, 1),
        (name_a_reference_string_of_nobody, 1),
        (name_another_registry, 1),
        (prove_nothing, 1),
        (keep_an_own_aggregate, 2),
        (stranger(), 2),
        (stranger("campaigns"), 1),
        (stranger("campaigns", "beta"), 2),
        (stranger("campaigns", "beta", "public"), 2),
        (link_to_a_campaign, 2),
        (link_to_a_public_folder, 2),
        (link_to_the_names, 2),
        (drop_the_aggregate, 2),
    ],
)
def test_tampering(
    tamper: Callable[[JointFolder, Campaigns], None],
    code: int,
    packed: JointFolder,
    several: Campaigns,
    tmp_path: Path,
) -> None:
    folder = copied(packed, tmp_path / "copy")
    tamper(folder, several)
    assert package_code(folder) == code
    assert script_code(folder) == code


def test_a_campaign_in_which_nothing_is_proved_is_named(packed: JointFolder, tmp_path: Path) -> None:
    folder = copied(packed, tmp_path / "copy")
    prove_nothing(folder, {})
    with pytest.raises(VerificationError, match=r"^campaign alpha: nothing is proved in it"):
        verify_joint(folder.path)


def test_the_untouched_folders_are_valid(packed: JointFolder, folded: JointFolder) -> None:
    """Or nothing above and below would say anything."""
    assert package_code(packed) == script_code(packed) == package_code(folded) == 0


@pytest.mark.parametrize(
    ("campaigns", "uploads", "said"),
    [
        ("cc", "xy", "two registries of one campaign"),
        ("cd", "xx", "an upload is registered in two campaigns"),
    ],
)
def test_the_second_verifier_refuses_doubles(
    campaigns: str, uploads: str, said: str, folded: JointFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Campaigns that are each good by themselves; for the package see test_joint.py."""
    given = [
        SimpleNamespace(
            examine=lambda: None,
            manifest_digest=member.manifest_digest,
            registry_digest=member.registry_digest,
            manifest={"campaign": campaign},
            uploads={upload},
        )
        for member, campaign, upload in zip(folded.read().members, campaigns, uploads, strict=True)
    ]
    joint = script.JointFolder(folded.path)
    assert exit_code(lambda: joint.verify(given)) == 1
    assert said in capsys.readouterr().err


def fold_under(key: AggregationKey, campaigns: Campaigns, folder: JointFolder) -> None:
    """A valid folded aggregate of alpha and beta, under any reference string, named as that."""
    groups = by_key(
        (each.key, each.proofs) for each in (read_proved(campaigns[n].root) for n in ("alpha", "beta"))
    )
    folder.aggregate.write_bytes(aggregate_groups(key, groups, scheme="snarkpack").to_bytes())
    rewrite(folder, reference_string=file_digest(key.verifier.to_bytes()))


class TestReferenceStrings:
    """A joiner may know the secrets of a string of its own, and then forge whatever it likes under it."""

    @pytest.fixture
    def copy(self, folded: JointFolder, tmp_path: Path) -> JointFolder:
        return copied(folded, tmp_path / "copy")

    def refused(self, folder: JointFolder) -> None:
        assert package_code(folder) == 1
        assert script_code(folder) == 1

    def test_one_that_no_manifest_names(self, copy: JointFolder, several: Campaigns) -> None:
        """The aggregate is valid under it: nothing else is wrong."""
        own = aggregation_setup(4)
        fold_under(own, several, copy)
        self.refused(copy)
        copy.public("alpha").file(AGGREGATION_VERIFIER_KEY).write_bytes(own.verifier.to_bytes())
        self.refused(copy)

    def test_another_campaigns(self, copy: JointFolder) -> None:
        """It is named by a manifest, but the aggregate was folded under another's."""
        digest = file_digest(copy.public("beta").read(AGGREGATION_VERIFIER_KEY))
        assert digest != copy.read().reference_string
        rewrite(copy, reference_string=digest)
        self.refused(copy)

    def test_none_for_a_folded_aggregate(self, copy: JointFolder) -> None:
        rewrite(copy, reference_string=b"")
        self.refused(copy)


MEMBERS = [
    {"name": name, "manifest_digest": name.encode() * 32, "registry_digest": b"r" * 32} for name in "ab"
]


def encoded(members: list[dict[str, Any]] = MEMBERS, **changes: Any) -> bytes:
    return encode("pvcnn-joint", 1, {"campaigns": members, "reference_string": b"", **changes})


def renamed(name: Any) -> bytes:
    return encoded([MEMBERS[0] | {"name": name}, MEMBERS[1]])


def malformed() -> Iterator[bytes]:
    """What is no `joint.cbor`; the names lead out of the folder, or to two places on some file systems."""
    for name in ("..", ".", "", "../a", "a/b", "/etc", "a\\b", "A", "a\0", "a ", "-a", "a" * 33, "\u00e4"):
        yield renamed(name)
    yield renamed(b"a")
    yield renamed(1)
    yield encoded(MEMBERS[:1])
    yield encoded([])
    yield encoded(MEMBERS[::-1])
    yield encoded([MEMBERS[0], MEMBERS[0]])
    yield encoded([MEMBERS[0], MEMBERS[0] | {"name": "b"}])
    yield encoded([MEMBERS[0], MEMBERS[1] | {"more": 1}])
    yield encoded([MEMBERS[0], {"name": "b"}])
    yield encoded([MEMBERS[0], MEMBERS[1] | {"registry_digest": b"r" * 31}])
    yield encoded(reference_string=b"s" * 31)
    yield encoded(reference_string=0)
    yield encoded(campaigns=[1, 2])
    yield encoded(campaigns={"a": 1})
    yield encoded(more=1)
    yield encode("pvcnn-joint", 2, {"campaigns": MEMBERS, "reference_string": b""})
    yield encode("pvcnn-registry", 1, {"campaigns": MEMBERS, "reference_string": b""})
    yield b""


def test_malformed_names(packed: JointFolder, tmp_path: Path) -> None:
    folder = copied(packed, tmp_path / "copy")
    assert Joint.from_bytes(encoded()).to_bytes() == encoded()
    for data in malformed():
        with pytest.raises(DecodeError):
            Joint.from_bytes(data)
        folder.file.write_bytes(data)
        assert (package_code(folder), script_code(folder)) == (2, 2), data


def test_names_are_checked_before_they_are_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no campaign"):
        JointFolder(tmp_path).public("../elsewhere")
    with pytest.raises(ValueError, match="names no campaign"):
        Joint((Member("..", bytes(32), bytes(32)), Member("b", bytes([1]) * 32, bytes(32))))


def test_more_campaigns_than_there_may_be() -> None:
    members = [
        {"name": f"{i:05d}", "manifest_digest": i.to_bytes(32, "big"), "registry_digest": bytes(32)}
        for i in range(1025)
    ]
    assert len(Joint.from_bytes(encoded(members[:1024])).members) == 1024
    with pytest.raises(DecodeError, match="at most 1024"):
        Joint.from_bytes(encoded(members))


def test_hostile_bytes_of_either_file(packed: JointFolder, tmp_path: Path) -> None:
    """Every damaged version is refused, and never by anything but an error of the package's own."""
    folder = copied(packed, tmp_path / "copy")
    for path, flips in ((folder.file, 40), (folder.aggregate, 10)):
        honest = path.read_bytes()
        for bad in damaged(honest, seed=3, flips=flips):
            path.write_bytes(bad)
            assert package_code(folder) in (1, 2)
        path.write_bytes(honest)
    for bad in damaged(encoded()):
        try:
            assert Joint.from_bytes(bad).to_bytes() == bad != encoded()
        except DecodeError:
            continue


def test_a_changed_byte_in_any_file(packed: JointFolder, tmp_path: Path) -> None:
    folder = copied(packed, tmp_path / "copy")
    generator = random.Random(4)
    public = folder.public("gamma").path
    paths = [folder.file, folder.aggregate, *sorted(public.rglob("*.cbor"))]
    assert len(paths) == 2 + 8 + 2
    for path in paths:
        honest = path.read_bytes()
        path.write_bytes(flipped(honest, generator.randrange(len(honest)), generator.randrange(8)))
        assert script_code(folder) in (1, 2), path
        assert package_code(folder) in (1, 2), path
        path.write_bytes(honest)
