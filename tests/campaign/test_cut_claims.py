"""What an owner says of its cut: shown to testers, compared with the campaign, refused where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.campaign import auditor
from pvcnn.campaign import tester as testers
from pvcnn.campaign.cut_claims import CutClaims, check_figures, claims_of, visibly_broken
from pvcnn.campaign.folder import ENCRYPTION_PLAN, LEAK, MANIFEST, REGISTRY, CampaignFolder
from pvcnn.campaign.identity import Identity
from pvcnn.campaign.manifest import Manifest
from pvcnn.campaign.registry import Registry
from pvcnn.campaign.signed import file_digest
from pvcnn.campaign.status import read_status
from pvcnn.errors import CampaignError, DecodeError, PvcnnError, VerificationError
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.parameters import plan
from pvcnn.leak.summary import LeakSummary
from tests.aggregate import standalone
from tests.campaign.figures import FIGURES, linear_part
from tests.campaign.tiny import Played, frames, play, prepare, private_part

script = standalone.load_part("cut_claims")
LEAKY = "Leaky cut, which the owner accepted: the private part fails rule (a), a nonlinearity before the cut"


def sign_anew(folder: CampaignFolder, **changes: Any) -> None:
    """As an owner who signs anything can."""
    key = Identity.load_from(folder.private("owner"), "split").signing
    manifest = replace(Manifest.from_bytes(folder.public.read(MANIFEST)), **changes).signed(key)
    folder.public.file(MANIFEST).write_bytes(manifest.to_bytes())
    folder.public.file(REGISTRY).write_bytes(Registry.close(key, manifest.digest(), []).to_bytes())


def publish(folder: CampaignFolder, figures: LeakSummary) -> None:
    folder.public.file(LEAK).write_bytes(figures.to_bytes())
    sign_anew(folder, leak_digest=file_digest(figures.to_bytes()))


def second_verifier(folder: CampaignFolder, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Its exit code for a folder, and what it complains of."""
    capsys.readouterr()
    program = standalone.load_campaign()
    code = standalone.exit_code(lambda: program.Campaign(folder.public.path).verify())
    return code, capsys.readouterr().err


def refused_by_all(
    folder: CampaignFolder, fingerprint: str, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    """By tester, verifier and second verifier, for this reason."""
    code, complaint = second_verifier(folder, capsys)
    assert code in (1, 2)
    assert said in complaint
    for step in (lambda: auditor.verify(folder.root), lambda: read_status(folder.root)):
        with pytest.raises((VerificationError, DecodeError, CampaignError), match=said):
            step()
    folder.public.file(REGISTRY).unlink()
    tester = testers.TesterRole.create(folder, "warned")
    with pytest.raises((VerificationError, DecodeError, CampaignError), match=said):
        tester.cut_claims()
    with pytest.raises((VerificationError, DecodeError, CampaignError), match=said):
        tester.encrypt(frames(1, 5)[0], 0, fingerprint)


def test_everyone_is_shown_the_figures(played: Played) -> None:
    claims = CutClaims((), FIGURES)
    verdict = auditor.verify(played.folder.root)
    assert (
        played.testers[0].cut_claims() == verdict.claims == read_status(played.folder.root).claims == claims
    )
    assert set(claims.sentences()) <= set(verdict.sentences())
    said = "\n".join(claims.sentences())
    assert "by the owner's own measurements, of which nothing is proved" in said
    for line in FIGURES.lines():
        assert line in said
    shown = verdict.to_json()["cut"]
    assert shown["broken_rules"] == []
    assert shown["leak_figures"]["frames_by_best"] == 930
    assert shown["leak_figures"]["warnings"] == FIGURES.warnings()


def test_an_owner_without_figures_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, *_ = prepare(tmp_path / "campaign", leak=None)
    assert claims_of(folder.public) == CutClaims()
    assert claims_of(folder.public).sentences() == [
        "What the features give away: the owner gives no figures of attacks."
    ]
    assert not folder.public.file(LEAK).exists()
    folder.public.file(LEAK).write_bytes(FIGURES.to_bytes())
    sign_anew(folder)
    for step in (lambda: auditor.verify(folder.root), lambda: claims_of(folder.public)):
        with pytest.raises(VerificationError, match=r"leak\.cbor, and the manifest names no"):
            step()
    code, complaint = second_verifier(folder, capsys)
    assert code == 1
    assert "leak.cbor is there, or is not" in complaint


@pytest.mark.parametrize(
    "changes",
    [{"input_shape": (1, 16, 32)}, {"feature_shape": (2, 2, 4)}, {"feature_shape": (32,)}],
    ids=str,
)
def test_figures_of_another_cut(
    changes: dict[str, Any],
    fresh: tuple[CampaignFolder, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, fingerprint = fresh
    publish(folder, replace(FIGURES, **changes))
    refused_by_all(folder, fingerprint, capsys, "leak figures are of another cut")


def test_the_owner_does_not_sign_figures_of_another_cut(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"of another cut.*measure this cut with pvcnn leak"):
        prepare(tmp_path / "campaign", leak=replace(FIGURES, feature_shape=(8, 2, 2)))
    folder = CampaignFolder(tmp_path / "campaign")
    assert not folder.public.file(MANIFEST).exists()
    assert not folder.public.file(LEAK).exists()


def test_features_in_a_row_are_channels_of_one_number() -> None:
    part = linear_part()
    whole = plan(part)
    assert check_figures(FIGURES, whole) is None  # type: ignore[func-returns-value]
    layout = replace(whole.output_layout, rows=(0,), columns=(0,))
    row = replace(whole, output_layout=layout)
    assert row.output_shape == (2, 1, 1)
    for shape in ((2,), (2, 1, 1)):
        check_figures(replace(FIGURES, feature_shape=shape), row)
        script.describe_cut(["a"], row.to_bytes(), replace(FIGURES, feature_shape=shape).to_bytes())
    with pytest.raises(VerificationError, match="another cut"):
        check_figures(replace(FIGURES, feature_shape=(1, 2)), row)


def file_gone(folder: CampaignFolder) -> None:
    folder.public.file(LEAK).unlink()


def another_file(folder: CampaignFolder) -> None:
    folder.public.file(LEAK).write_bytes(replace(FIGURES, psnr=1).to_bytes())


def not_a_summary(folder: CampaignFolder) -> None:
    data = FIGURES.to_bytes() + b"\x00"
    folder.public.file(LEAK).write_bytes(data)
    sign_anew(folder, leak_digest=file_digest(data))


@pytest.mark.parametrize("change", [file_gone, another_file, not_a_summary])
def test_a_file_that_is_not_the_manifests(
    change: Callable[[CampaignFolder], None],
    fresh: tuple[CampaignFolder, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, fingerprint = fresh
    sign_anew(folder)
    change(folder)
    refused_by_all(folder, fingerprint, capsys, "leak")


def test_flipped_bits_of_the_file_are_refused(fresh: tuple[CampaignFolder, str]) -> None:
    folder, _ = fresh
    honest = FIGURES.to_bytes()
    for bit in range(0, 8 * len(honest), 97):
        data = bytearray(honest)
        data[bit // 8] ^= 1 << bit % 8
        folder.public.file(LEAK).write_bytes(bytes(data))
        with pytest.raises(VerificationError, match="not the file"):
            claims_of(folder.public)


def test_both_read_the_same_figures() -> None:
    """Every bit of the file: the second verifier accepts what the package does, and no more."""
    honest, layout = FIGURES.to_bytes(), plan(private_part(1)).to_bytes()
    accepted = 0
    for bit in range(8 * len(honest)):
        data = bytearray(honest)
        data[bit // 8] ^= 1 << bit % 8
        try:
            check_figures(LeakSummary.from_bytes(bytes(data)), EncryptionPlan.from_bytes(layout))
            good = True
        except PvcnnError:
            good = False
        other = standalone.exit_code(lambda data=data: script.describe_cut([], layout, bytes(data)))  # type: ignore[misc]
        assert (other == 0) is good, f"bit {bit}"
        accepted += good
    assert 0 < accepted < 4 * len(honest)


def test_figures_that_are_too_long_are_refused_by_both() -> None:
    """Texts within their limits, whose letters take four bytes each."""
    long = dict.fromkeys(("cut", "private", "data", "weights_method"), "\U0001f642" * 1024)
    assert FIGURES.people is not None
    fields = vars(FIGURES) | long | {"people": replace(FIGURES.people, kind=long["cut"])}
    figures = object.__new__(LeakSummary)
    figures.__dict__.update(fields)
    data, layout = figures.to_bytes(), plan(private_part(1)).to_bytes()
    assert len(data) > LEAK.max_bytes
    with pytest.raises(DecodeError):
        LeakSummary.from_bytes(data)
    assert standalone.exit_code(lambda: script.describe_cut([], layout, data)) == 2


def test_a_leaky_cut_is_announced_by_everyone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And can be proved like any other."""
    played = play(tmp_path / "campaign", testers=1, each=1, private=linear_part())
    folder = played.folder
    assert Manifest.from_bytes(folder.public.read(MANIFEST)).broken_rules == ("a",)
    (warning,) = played.testers[0].cut_claims().warnings
    assert warning.startswith(LEAKY)
    assert read_status(folder.root).claims == played.testers[0].cut_claims()
    verdict = auditor.verify(folder.root)
    assert verdict.verified
    assert verdict.sentences().count(warning) == 1
    assert verdict.to_json()["cut"]["broken_rules"] == ["a"]
    assert second_verifier(folder, capsys)[0] == 0
    layout, leak = (folder.public.read(which) for which in (ENCRYPTION_PLAN, LEAK))
    said = script.describe_cut(["a"], layout, leak)
    assert said.startswith(LEAKY)
    assert "the owner's own claim: the strongest attack finds the right frame of 320 for 93.0%" in said


def test_a_leaky_cut_is_not_concealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _, _, fingerprint = prepare(tmp_path / "campaign", private=linear_part())
    sign_anew(folder, broken_rules=())
    refused_by_all(folder, fingerprint, capsys, "which the manifest conceals")


def test_more_features_than_pixels_show_in_the_plan() -> None:
    whole = plan(private_part(1))
    assert visibly_broken(whole) == ()
    small = replace(
        whole, input_layout=replace(whole.input_layout, rows=(0, 1, 2, 3), columns=(0, 16, 32, 48))
    )
    assert small.input_shape == (1, 4, 4)
    assert visibly_broken(small) == ("b",)
    assert script.read_plan(small.to_bytes())[2] == ["b"]
    squares = [layer for layer in whole.layers if layer.kind != "square"]
    linear = replace(small, layers=tuple(squares))
    assert visibly_broken(linear) == ("a", "b")
    assert script.read_plan(linear.to_bytes())[2] == ["a", "b"]
    first = replace(whole, layers=(whole.layers[1], whole.layers[0]))  # a square of pixels mixes nothing
    assert visibly_broken(first) == ("a",)
    assert script.read_plan(first.to_bytes())[2] == ["a"]


@pytest.mark.parametrize("rules", [("b", "a"), ("a", "a"), ("c",), ("a", "b", "a"), (1,), ("",)], ids=str)
def test_what_are_no_rules(rules: tuple[Any, ...], fresh: tuple[CampaignFolder, str]) -> None:
    folder, _ = fresh
    key = Identity.load_from(folder.private("owner"), "split").signing
    manifest = object.__new__(Manifest)
    manifest.__dict__.update(
        vars(Manifest.from_bytes(folder.public.read(MANIFEST))) | {"broken_rules": rules}
    )
    manifest.__dict__.pop("_digest", None)
    manifest.__dict__["signature"] = key.sign(manifest.body())
    with pytest.raises(DecodeError, match="broken"):
        Manifest.from_bytes(manifest.to_bytes())
    assert (
        standalone.exit_code(
            lambda: script.describe_cut(list(rules), folder.public.read(ENCRYPTION_PLAN), None)
        )
        == 2
    )
