"""What campaigns reveal besides the decision between two: classes with and without names, and logits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.campaign.artefacts.folder import LABELS, MANIFEST, REGISTRY, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.revealed import TWO_CLASSES, Kind, Revealed
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.roles.tester import TesterRole as RoleOfTester
from pvcnn.campaign.verification.auditor import verify
from pvcnn.cli.main import run
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.program.private import private_evaluate
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.statement import Statement
from tests.campaign import artefacts
from tests.campaign.revealing import revealing
from tests.campaign.test_standalone_campaign import code_of
from tests.campaign.tiny import FEATURE_STEP, Played, play, private_part, public_part, three_classes

NAMES = ("cat", "dog", "[red]horse")
SCALE = 0.125


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two submissions of two frames, decided between three classes without names."""
    root = tmp_path_factory.mktemp("classes") / "campaign"
    return play(root, testers=1, each=2, batch=2, public=three_classes(1))


@pytest.fixture(scope="module")
def logits(tmp_path_factory: pytest.TempPathFactory) -> Played:
    root = tmp_path_factory.mktemp("logits") / "campaign"
    return play(root, testers=1, each=2, batch=2, public=three_classes(1, "logits"))


def near(played: Played, submission: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Logits (2, 3) of a submission's frames in the clear, and how far off they may be."""
    features = private_evaluate(played.private, np.stack(played.frames[2 * submission : 2 * submission + 2]))
    part = revealing(played.public, "logits")
    quantised = np.rint(features / FEATURE_STEP).astype(np.int64)
    exact = part(quantised).reshape(2, 3)
    shaken = [
        part(quantised + np.random.default_rng(seed).integers(-1, 2, quantised.shape)).reshape(2, 3)
        for seed in range(30)
    ]
    return exact, 2 * np.abs(np.array(shaken) - exact).max(0) + 50


class TestClasses:
    def test_decisions_are_numbers_of_classes(
        self, classes: Played, capsys: pytest.CaptureFixture[str]
    ) -> None:
        verdict = verify(classes.folder.root)
        assert (verdict.verified, verdict.revealed.kind, verdict.revealed.classes) == (
            True,
            Kind.DECISIONS,
            3,
        )
        for place, index in enumerate(classes.indices):
            exact, error = near(classes, place)
            for frame, decision in enumerate(verdict.outcomes[index].decisions):
                assert exact[frame, decision] + error[frame].max() >= exact[frame].max()
        assert verdict.accuracy()[1] == 4
        assert code_of(classes.folder) == 0
        assert (
            f"{verdict.outcomes[0].decisions[0]}, {verdict.outcomes[0].decisions[1]}"
            in capsys.readouterr().out
        )
        assert run(["verify", str(classes.folder.root)]) == 0
        assert f"class {verdict.outcomes[0].decisions[0]}" in capsys.readouterr().out

    def test_no_class_beyond_the_last(self, classes: Played, tmp_path: Path) -> None:
        shutil.copytree(classes.folder.root, tmp_path / "copy")
        folder = CampaignFolder(tmp_path / "copy")
        path = folder.public.indexed(STATEMENTS, 0)
        statement = Statement.from_bytes(path.read_bytes())
        for bad in (3, -1):
            path.write_bytes(replace(statement, outputs=(statement.outputs[0], bad)).to_bytes())
            with pytest.raises(VerificationError, match=r"statement 0 holds something else than decisions"):
                verify(folder.root)
        assert code_of(folder) == 1

    def test_labels_are_classes(self, classes: Played, tmp_path: Path) -> None:
        shutil.copytree(classes.folder.root, tmp_path / "copy")
        folder = CampaignFolder(tmp_path / "copy")
        path = folder.public.indexed(LABELS, 0)
        opening = LabelOpening.from_bytes(path.read_bytes())
        path.write_bytes(replace(opening, labels=(2, *opening.labels[1:])).to_bytes())
        with pytest.raises(VerificationError, match="committed to"):
            verify(folder.root)

    def test_owners_may_name_them_all_or_none(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        owner = OwnerRole.create(folder)
        owner.publish_split(private_part(1), three_classes(1), logit_scale=SCALE)
        fingerprint = make_keys(folder).fingerprint
        run_setup(folder, 2)
        for bad in (
            NAMES[:2],
            (*NAMES, "cow"),
            ("a", "a", "b"),
            ("a", "", "b"),
            ("a", "b\n", "c"),
            ("0", "1", "2"),
        ):
            with pytest.raises(ValueError, match="class"):
                owner.publish_manifest(class_names=bad)
            assert not folder.public.file(MANIFEST).exists()
        manifest = owner.publish_manifest(class_names=NAMES)
        assert manifest.logit_scale is None, "logits are not revealed"
        tester = RoleOfTester.create(folder, "ann")
        assert tester.read_labels(["dog", "[red]horse", "0"]) == [1, 2, 0]
        for bad_label in ("cow", "3", "-1", "\u0661", "real"):
            with pytest.raises(ValueError, match="no class of this campaign"):
                tester.read_labels([bad_label])
        for label in (3, -1):
            with pytest.raises(ValueError, match="no class from 0 to 2"):
                tester.encrypt(np.zeros((1, 16, 16)), label, fingerprint)


class TestLogits:
    def test_they_are_those_of_the_network(self, logits: Played, capsys: pytest.CaptureFixture[str]) -> None:
        verdict = verify(logits.folder.root)
        assert (verdict.verified, verdict.revealed.kind) == (True, Kind.LOGITS)
        for place, index in enumerate(logits.indices):
            exact, error = near(logits, place)
            outcome = verdict.outcomes[index]
            found = np.array(outcome.logits)
            assert found.shape == (2, 3)
            assert (np.abs(found - exact) <= error).all()
            assert outcome.decisions == tuple(found.argmax(1))
        report = json.loads(json.dumps(verdict.to_json()))
        assert report["reveals"] == "logits"
        assert report["submissions"][0]["logits"] == [list(each) for each in verdict.outcomes[0].logits]
        assert "the logits are the outputs of the committed public part" in verdict.sentences()[0]
        assert verdict.accuracy()[1] == 4, "labels are compared with the decisions that follow"
        assert code_of(logits.folder) == 0
        assert "logits [" in capsys.readouterr().out
        assert run(["verify", str(logits.folder.root)]) == 0
        assert str(verdict.outcomes[0].logits[0][0]) in capsys.readouterr().out

    def test_a_changed_logit_is_refused(self, logits: Played, tmp_path: Path) -> None:
        shutil.copytree(logits.folder.root, tmp_path / "copy")
        folder = CampaignFolder(tmp_path / "copy")
        path = folder.public.indexed(STATEMENTS, 1)
        statement = Statement.from_bytes(path.read_bytes())
        first, *rest = statement.outputs
        for outputs in ((first + 1, *rest), (*rest, first), tuple(rest), (first, *rest, 0)):
            path.write_bytes(replace(statement, outputs=outputs).to_bytes())
            with pytest.raises(VerificationError):
                verify(folder.root)

    def test_the_owner_may_give_their_scale(self, tmp_path: Path) -> None:
        folder = CampaignFolder.create(tmp_path / "campaign")
        owner = OwnerRole.create(folder)
        with pytest.raises(ValueError, match="positive and finite"):
            owner.publish_split(private_part(1), three_classes(1, "logits"), logit_scale=float("nan"))
        owner.publish_split(private_part(1), three_classes(1, "logits"), logit_scale=SCALE)
        make_keys(folder)
        run_setup(folder, 2)
        assert owner.publish_manifest().logit_scale == SCALE


class TestTheManifestsWord:
    """An owner whose manifest does not fit the program is refused, whatever it signs."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"class_names": ("a", "b")}, "names 2 classes of 3"),
            ({"logit_scale": 1.0}, "scales logits that are not revealed"),
            ({"label_key_digest": b"x" * 32}, "label key that the program does not take"),
        ],
    )
    def test_it_has_to_fit(
        self, classes: Played, tmp_path: Path, changes: dict[str, object], words: str
    ) -> None:
        shutil.copytree(classes.folder.root, tmp_path / "copy")
        folder = CampaignFolder(tmp_path / "copy")
        key = Identity.load_from(folder.private("owner"), "split").signing
        manifest = replace(Manifest.from_bytes(folder.public.read(MANIFEST)), **changes).signed(key)  # type: ignore[arg-type]
        folder.public.file(MANIFEST).write_bytes(manifest.to_bytes())
        folder.public.file(REGISTRY).write_bytes(Registry.close(key, manifest.digest(), []).to_bytes())
        for name in ("answers", "statements", "labels"):
            shutil.rmtree(folder.public.path / name)
        with pytest.raises(VerificationError, match=words):
            verify(folder.root)

    @pytest.mark.parametrize(
        "changes",
        [
            {"class_names": ("a", "a")},
            {"class_names": ("a", 1)},
            {"class_names": ("7",)},
            {"class_names": ("a\x1b[2J",)},
            {"class_names": ("x" * 65,)},
            {"class_names": tuple(f"class of {n}" for n in range(1025))},
            {"logit_scale": 0.0},
            {"logit_scale": -1.0},
            {"logit_scale": float("inf")},
            {"logit_scale": float("nan")},
            {"weights_digest": b"short"},
            {"label_key_digest": b"short"},
        ],
    )
    def test_words_that_cannot_be(self, changes: dict[str, object]) -> None:
        with pytest.raises(DecodeError):
            Manifest.from_bytes(artefacts.manifest(**changes).to_bytes())


class TestReading:
    def test_of_one_logit(self) -> None:
        read = Revealed(Kind.LOGITS, 3, 1, TWO_CLASSES)
        assert read.decisions((5, 0, -7)) == (1, 0, 0)
        assert read.logits_of((5, 0, -7)) == ((5,), (0,), (-7,))
        assert (read.classes, read.outputs, read.name(1)) == (2, 3, "fake")

    def test_the_first_of_equal_logits(self) -> None:
        assert Revealed(Kind.LOGITS, 2, 3).decisions((1, 4, 4, -9, -9, -9)) == (1, 0)

    def test_of_a_count(self) -> None:
        read = Revealed(Kind.CORRECT, 4, 1)
        assert (read.outputs, read.decisions((3,)), read.logits_of((3,))) == (1, (), ())
        read.check((4,), "it")
        for bad in ((5,), (-1,), (), (1, 1)):
            with pytest.raises(VerificationError, match="it holds"):
                read.check(bad, "it")

    def test_what_is_revealed_is_the_programs_last_layer(self) -> None:
        for part, count in ((public_part(1), 2), (three_classes(1), 3)):
            for reveal in ("decisions", "logits", "correct"):
                changed = revealing(part, reveal)
                manifest = artefacts.manifest(
                    frames=2,
                    class_names=(),
                    logit_scale=None,
                    label_key_digest=b"l" * 32 if reveal == "correct" else b"",
                )
                read = Revealed.by(changed.program, manifest)
                assert (str(read.kind), read.outputs) == (reveal, changed.program.outputs_of(2))
                assert read.classes == count
                assert read.name(1) == ("fake" if count == 2 else "class 1")
        with pytest.raises(ValueError, match="choose one of"):
            revealing(public_part(1), "everything")

    def test_another_last_layer_changes_nothing_else(self) -> None:
        part = three_classes(1)
        again: PublicPart = revealing(revealing(part, "logits"), "decisions")
        assert again.program == part.program
        assert np.array_equal(again.weights.flat(), part.weights.flat())
        assert again.weights.blinding == part.weights.blinding
