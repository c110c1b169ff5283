"""Owners that sign what only one of the two verifiers would look at: both refuse it, for the same reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.algebra.points import G1Point, encode_g1
from pvcnn.campaign.artefacts.answer import Answer
from pvcnn.campaign.artefacts.commitments import label_commitment
from pvcnn.campaign.artefacts.folder import (
    ANSWERS,
    LABEL_KEY,
    LABELS,
    MANIFEST,
    REGISTRY,
    CampaignFolder,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import SigningKey, file_digest
from pvcnn.campaign.verification.auditor import verify
from pvcnn.errors import DecodeError, PvcnnError, VerificationError
from pvcnn.program.program import Program
from pvcnn.qmp.labels import LabelKey
from tests.aggregate import standalone
from tests.attacks.conftest import Stage
from tests.campaign.revealing import revealing
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import prepare, public_part
from tests.qmp.graphs import GRAPHS
from tests.qmp.programs import demo_program

script = standalone.load_campaign()
TESTER = SigningKey.from_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A campaign of three frames that reveals how many decisions are correct, after `setup`."""
    root = tmp_path_factory.mktemp("counting") / "campaign"
    folder, _, _, fingerprint = prepare(root, batch=3, public=revealing(public_part(1), "correct"))
    return Stage(folder, fingerprint)


class Owner:
    """An owner that signs any manifest, registers what it likes and refuses all submissions."""

    def __init__(self, folder: CampaignFolder) -> None:
        self.folder = folder
        self.key = Identity.load_from(folder.private("owner"), "split").signing
        self.manifest = Manifest.from_bytes(folder.public.read(MANIFEST))

    def sign(self, changes: dict[str, Any], commitments: tuple[bytes, ...] = ()) -> None:
        """Publishes the manifest with these changes, and a registry of registrations with these
        commitments to labels, all of which it refuses."""
        manifest = object.__new__(Manifest)
        manifest.__dict__.update(vars(self.manifest) | changes)
        manifest.__dict__.pop("_digest", None)
        manifest.__dict__["signature"] = self.key.sign(manifest.body())
        data = manifest.to_bytes()
        self.folder.public.file(MANIFEST).write_bytes(data)
        registrations = [
            Registration(
                signer=TESTER.public,
                manifest_digest=file_digest(data),
                upload_digest=bytes([number]) * 32,
                nonce=bytes(32),
                label_commitment=commitment,
            ).signed(TESTER)
            for number, commitment in enumerate(commitments)
        ]
        registry = Registry.close(self.key, file_digest(data), registrations)
        self.folder.public.file(REGISTRY).write_bytes(registry.to_bytes())
        for index in range(len(commitments)):
            answer = Answer(
                signer=self.key.public,
                manifest_digest=file_digest(data),
                registry_digest=file_digest(registry.to_bytes()),
                index=index,
                reason="nothing to answer",
            )
            path = self.folder.public.indexed(ANSWERS, index)
            path.write_bytes(answer.signed(self.key).to_bytes())


def second_verdict(folder: CampaignFolder, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The second verifier's exit code and what it says, but for the time that it takes."""
    capsys.readouterr()
    return code_of(folder), capsys.readouterr().err


def test_a_manifest_signed_anew_is_refused_for_nothing_but_its_emptiness(
    prepared: Stage, counting: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that what is refused below is refused for what was changed."""
    for stage, commitment in ((prepared, bytes(32)), (counting, encode_g1(G1Point()))):
        folder = stage.copied(tmp_path / commitment.hex()[:8]).folder
        Owner(folder).sign({}, (commitment,))
        assert not verify(folder.root).verified
        assert "or none a proof" in second_verdict(folder, capsys)[1]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"class_names": ("real", "fake", "neither")}, VerificationError, "other classes than there are"),
        ({"class_names": ("fake",)}, VerificationError, "other classes than there are"),
        ({"class_names": ("fake", "fake")}, DecodeError, "say nothing"),
        ({"class_names": ("1", "0")}, DecodeError, "say nothing"),
        ({"class_names": ("real", "fake\x1b[2K")}, DecodeError, "say nothing"),
        ({"class_names": ("real", 7)}, DecodeError, "without a name"),
        ({"class_names": ("real", "f" * 65)}, DecodeError, "without a name"),
        ({"logit_scale": 2.0}, VerificationError, "not revealed"),
        ({"logit_scale": -1.0}, DecodeError, "scale of logits"),
        ({"logit_scale": math.nan}, DecodeError, "scale of logits"),
        ({"setup_party": "p" * 65}, DecodeError, "setup party"),
        ({"frames": 0}, DecodeError, "number of frames"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_a_manifest_may_not_say(
    changes: dict[str, Any],
    error: type[PvcnnError],
    said: str,
    prepared: Stage,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Other names would turn decisions round, for whoever reads one verifier's words."""
    Owner(prepared.folder).sign(changes)
    with pytest.raises(error):
        verify(prepared.folder.root)
    code, complaint = second_verdict(prepared.folder, capsys)
    assert code in (1, 2)
    assert said in complaint


@pytest.mark.parametrize("change", [{"classes": 3}, {"frames": 2}], ids=str)
def test_a_label_key_for_other_labels(
    change: dict[str, int], counting: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With it testers could register labels that no proof takes. Of fewer frames its points are not those
    that the verification key names, either."""
    folder = counting.copied(tmp_path / "copy").folder
    key = LabelKey.from_bytes(folder.public.read(LABEL_KEY))
    points = key.points[: change.get("frames", 3)]
    data = replace(key, classes=change.get("classes", key.classes), points=points).to_bytes()
    folder.public.file(LABEL_KEY).write_bytes(data)
    Owner(folder).sign({"label_key_digest": file_digest(data)})
    with pytest.raises(VerificationError, match="label key"):
        verify(folder.root)
    code, complaint = second_verdict(folder, capsys)
    assert code == 1
    assert "label key" in complaint


def test_a_commitment_that_is_no_point_of_a_submission_that_is_refused(
    counting: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = counting.copied(tmp_path / "copy").folder
    Owner(folder).sign({}, (b"\xff" * 48,))
    with pytest.raises(DecodeError):
        verify(folder.root)
    code, complaint = second_verdict(folder, capsys)
    assert code == 2
    assert "point" in complaint


@pytest.mark.parametrize(("label", "good"), [(1, True), (2, False)])
def test_a_label_beyond_the_last_class(
    label: int, good: bool, prepared: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Committed to, and opened."""
    salt = bytes(range(32))
    Owner(prepared.folder).sign({}, (label_commitment(salt, TESTER.public, [label]),))
    path = prepared.folder.public.indexed(LABELS, 0)
    path.write_bytes(LabelOpening(salt, (label,)).to_bytes())
    _, complaint = second_verdict(prepared.folder, capsys)
    assert ("labels 0 do not fit" in complaint) is not good
    if good:
        assert not verify(prepared.folder.root).verified
        return
    with pytest.raises(VerificationError, match="of 2 classes"):
        verify(prepared.folder.root)


PROGRAMS: dict[str, Callable[[], Program]] = {**GRAPHS, "demo": demo_program}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_both_count_the_same_logits(name: str) -> None:
    """What every limit of classes rests on."""
    program = PROGRAMS[name]()
    body, _ = standalone.load_part("primitives").read_value(program.to_bytes(), 0)
    (number,) = program.nodes[-1].inputs
    assert script.number_of_logits(body) == math.prod(program.shapes[number])
