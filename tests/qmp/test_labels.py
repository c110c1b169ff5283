"""Committing to labels: the key that a tester needs for it, and the commitment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cbor2
import numpy as np
import pytest

import pvcnn
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.points import G1Point, encode_g1, random_scalar, scalar
from pvcnn.encoding import encode
from pvcnn.errors import RangeError, VerificationError
from pvcnn.program.layers import Argmax, Correct
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights
from pvcnn.qmp.commitments import commit, label_key
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import MAX_CLASSES, LabelKey, commit_labels
from pvcnn.qmp.proving_key import ProvingKey
from tests.qmp.hostile import bad_encodings_g1, bit_flips, never_well_formed, refuses, stray_g1
from tests.qmp.test_public_names import PROVER_PACKAGES, run_without

LABELS = (2, 0, 1)
BLINDING = 0xB11D


@dataclass(frozen=True)
class Made:
    """Keys for three frames with three logits each, which are the features."""

    part: PublicPart
    proving_key: ProvingKey
    key: VerificationKey
    label_key: LabelKey


@pytest.fixture(scope="module")
def made() -> Made:
    program = Program.chain((3,), -8, 7, (Correct("correct"),))
    part = PublicPart(program, Weights(program, {}, {}, 5))
    proving_key, key = pvcnn.setup(part, frames=3)
    return Made(part, proving_key, key, pvcnn.label_key(proving_key, program))


class TestCommitment:
    def test_is_that_of_the_proof(self, made: Made) -> None:
        features = np.array([[0, 1, 5], [7, 2, 3], [1, 1, 0]])
        committed = pvcnn.commit_labels(made.label_key, LABELS, BLINDING)
        proof = pvcnn.prove(
            made.proving_key, made.part, features, labels=np.array(LABELS), labels_blinding=BLINDING
        )
        assert proof.statement.labels_commitment == committed
        assert committed == commit(made.proving_key, "lab", np.array(LABELS), BLINDING)
        pvcnn.verify(made.key, proof.statement, proof)
        assert proof.statement.outputs == (2,)

    def test_depends_on_each_label_their_order_and_the_blinding(self, made: Made) -> None:
        others = ((2, 0, 2), (2, 1, 1), (1, 0, 1), (0, 2, 1), (0, 0, 0))
        commitments = {
            encode_g1(commit_labels(made.label_key, labels, BLINDING)) for labels in (LABELS, *others)
        }
        commitments |= {encode_g1(commit_labels(made.label_key, LABELS, blinding)) for blinding in (1, 2)}
        assert len(commitments) == len(others) + 3

    def test_equal_labels_do_not_show(self, made: Made) -> None:
        """Without the blinding they could be searched: the commitment is nothing without it."""
        bare = commit_labels(made.label_key, LABELS, BLINDING) - made.label_key.blinding_point * scalar(
            BLINDING
        )
        points = made.label_key.points
        assert bare == points[0] + points[0] + points[2]

    @pytest.mark.parametrize("labels", [(3, 0, 0), (0, -1, 0), (0, 0, 1 << 300), (0, 0, SCALAR_MODULUS - 1)])
    def test_labels_are_classes(self, made: Made, labels: tuple[int, ...]) -> None:
        with pytest.raises(RangeError, match="from 0 to 2"):
            commit_labels(made.label_key, labels, BLINDING)

    @pytest.mark.parametrize("labels", [(), (1, 1), (1, 1, 1, 1)])
    def test_there_is_one_for_each_frame(self, made: Made, labels: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="3 frames"):
            commit_labels(made.label_key, labels, BLINDING)

    @pytest.mark.parametrize("blinding", [0, -1, SCALAR_MODULUS, SCALAR_MODULUS + 1])
    def test_blinding_is_a_scalar(self, made: Made, blinding: int) -> None:
        with pytest.raises(ValueError, match="blinding"):
            commit_labels(made.label_key, LABELS, blinding)

    def test_another_setups_key_gives_what_no_proof_fits(self, made: Made) -> None:
        other = label_key(pvcnn.setup(made.part, frames=3)[0], made.part.program)
        assert commit_labels(other, LABELS, BLINDING) != commit_labels(made.label_key, LABELS, BLINDING)

    def test_points_that_change_places_are_not_the_circuits(self, made: Made) -> None:
        """They would make labels of one frame those of another, and a proof fits them."""
        first, second, third = made.label_key.points
        swapped = replace(made.label_key, points=(second, first, third))
        features = np.array([[0, 1, 5], [7, 2, 3], [1, 1, 0]])
        proof = pvcnn.prove(
            made.proving_key, made.part, features, labels=np.array([0, 2, 1]), labels_blinding=BLINDING
        )
        assert commit_labels(swapped, LABELS, BLINDING) == proof.statement.labels_commitment
        pvcnn.verify(made.key, proof.statement, proof)
        assert proof.statement.outputs == (0,), "of labels that all agree but for the last"
        pvcnn.check_label_key(made.key, LabelKey.from_bytes(made.label_key.to_bytes()))
        base = made.label_key.blinding_point
        for changed in (
            swapped,
            replace(made.label_key, points=(first, second)),
            replace(made.label_key, points=(first, second, third, third)),
            replace(made.label_key, points=(base, first, second, third), blinding_point=base),
            replace(made.label_key, points=(first + second, second, third)),
            replace(made.label_key, blinding_point=base + first),
        ):
            with pytest.raises(VerificationError, match="not that of this circuit"):
                pvcnn.check_label_key(made.key, changed)

    def test_keys_without_labels_have_no_label_key(self, made: Made) -> None:
        program = Program.chain((3,), -8, 7, (Argmax("class"),))
        _, key = pvcnn.setup(PublicPart(program, Weights(program, {}, {}, 5)))
        assert key.labels_digest == b""
        with pytest.raises(VerificationError, match="takes no labels"):
            pvcnn.check_label_key(key, made.label_key)

    def test_keys_name_the_points_exactly_if_they_take_labels(self, made: Made) -> None:
        for digest in (b"", bytes(31), bytes(33)):
            with pytest.raises(ValueError, match="labels digest"):
                replace(made.key, labels_digest=digest)
        with pytest.raises(ValueError, match="labels digest"):
            replace(made.key, gamma_g2=replace(made.key.gamma_g2, lab=None))
        assert VerificationKey.from_bytes(made.key.to_bytes()) == made.key
        other = replace(made.key, labels_digest=bytes(32))
        assert other.digest() != made.key.digest()
        body = cbor2.loads(made.key.to_bytes())
        for changes in ({"labels_digest": b""}, {"gamma": body["gamma"][:4]}, {"labels_digest": 1}):
            assert refuses(VerificationKey.from_bytes, cbor2.dumps(body | changes, canonical=True))
        del body["labels_digest"]
        assert refuses(VerificationKey.from_bytes, cbor2.dumps(body, canonical=True))

    def test_needs_none_of_the_provers_packages(self, made: Made) -> None:
        code = f"""
import pvcnn
from pvcnn.qmp.labels import LabelKey
key = LabelKey.from_bytes({made.label_key.to_bytes()!r})
print(bytes(pvcnn.commit_labels(key, {LABELS}, {BLINDING}).to_compressed_bytes()).hex())
"""
        result = run_without((*PROVER_PACKAGES, "numpy"), code)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == encode_g1(commit_labels(made.label_key, LABELS, BLINDING)).hex()


class TestKey:
    def test_is_of_the_proving_key(self, made: Made) -> None:
        key = made.label_key
        assert (key.classes, key.frames) == (3, 3)
        again = label_key(ProvingKey.from_bytes(made.proving_key.to_bytes()), made.part.program)
        assert again == key

    def test_program_without_labels_has_none(self, made: Made) -> None:
        program = Program.chain((3,), -8, 7, (Argmax("class"),))
        plain, _ = pvcnn.setup(PublicPart(program, Weights(program, {}, {}, 5)))
        for key, of in ((plain, program), (plain, made.part.program), (made.proving_key, program)):
            with pytest.raises(ValueError, match="takes no labels"):
                label_key(key, of)

    def test_round_trip(self, made: Made) -> None:
        data = made.label_key.to_bytes()
        assert LabelKey.from_bytes(data) == made.label_key
        assert len(data) < 350

    def test_hostile_bytes(self, made: Made) -> None:
        data = made.label_key.to_bytes()
        for hostile in never_well_formed(data):
            assert refuses(LabelKey.from_bytes, hostile)
        for value in (None, "text", bytearray(data)):
            assert refuses(LabelKey.from_bytes, value)
        for flipped in bit_flips(data, len(data)):
            if not refuses(LabelKey.from_bytes, flipped):
                assert LabelKey.from_bytes(flipped) != made.label_key

    def test_malformed_fields(self, made: Made) -> None:
        points = [encode_g1(point) for point in made.label_key.points]
        honest = {"classes": 3, "points": points, "blinding_point": encode_g1(made.label_key.blinding_point)}
        assert encode("pvcnn-label-key", 1, honest) == made.label_key.to_bytes()
        cases: list[dict[str, Any]] = [
            {"classes": 1},
            {"classes": MAX_CLASSES + 1},
            {"classes": True},
            {"points": []},
            {"points": points * 1366},
            {"points": [bytes(47)]},
            {"points": b""},
            {"more": 1},
            *({"points": [points[0], encoding]} for encoding in bad_encodings_g1().values()),
            *({"blinding_point": encoding} for encoding in bad_encodings_g1().values()),
        ]
        for changes in cases:
            assert refuses(LabelKey.from_bytes, encode("pvcnn-label-key", 1, honest | changes)), changes
        assert refuses(LabelKey.from_bytes, encode("pvcnn-label-key", 2, honest))

    def test_points_that_would_not_hide_or_bind_do_not_exist(self, made: Made) -> None:
        """With the identity in the blinding point's place D_lab could be searched."""
        for point in (G1Point.identity(), stray_g1()):
            for changed in (self.changed(made, blinding_point=point), self.changed(made, points=(point,))):
                with pytest.raises(ValueError, match="generate G1"):
                    changed()
        for changed in (self.changed(made, points=()), self.changed(made, classes=1)):
            with pytest.raises(ValueError, match=r"frames|classes"):
                changed()

    def changed(self, made: Made, **fields: Any) -> Callable[[], LabelKey]:
        return lambda: replace(made.label_key, **fields)


class TestProve:
    FEATURES = np.array([[0, 1, 5], [7, 2, 3], [1, 1, 0]])

    def prove(self, made: Made, **options: Any) -> Any:
        return pvcnn.prove(made.proving_key, made.part, self.FEATURES, **options)

    def test_labels_and_their_blinding_belong_together(self, made: Made) -> None:
        with pytest.raises(ValueError, match="takes labels"):
            self.prove(made)
        with pytest.raises(ValueError, match="takes labels"):
            self.prove(made, labels_blinding=BLINDING)
        with pytest.raises(ValueError, match="blinding"):
            self.prove(made, labels=np.array(LABELS))

    @pytest.mark.parametrize(
        "labels", [[0, 1], [0, 1, 2, 0], [[0, 1, 2]], [0.0, 1.0, 2.0], [0, 1, 3], [0, -1, 0]]
    )
    def test_wrong_labels(self, made: Made, labels: list[Any]) -> None:
        with pytest.raises(ValueError, match="label"):
            self.prove(made, labels=np.array(labels), labels_blinding=BLINDING)

    def test_programs_without_labels_take_none(self, made: Made) -> None:
        program = Program.chain((3,), -8, 7, (Argmax("class"),))
        part = PublicPart(program, Weights(program, {}, {}, 5))
        key, verification_key = pvcnn.setup(part)
        with pytest.raises(ValueError, match="takes no labels"):
            pvcnn.prove(key, part, self.FEATURES[:1], labels=np.array([0]), labels_blinding=1)
        with pytest.raises(ValueError, match="nothing else has one"):
            pvcnn.prove(key, part, self.FEATURES[:1], labels_blinding=1)
        proof = pvcnn.prove(key, part, self.FEATURES[:1])
        pvcnn.verify(verification_key, proof.statement, proof)
        assert proof.statement.labels_commitment is None

    def test_features_may_be_committed_to_before(self, made: Made) -> None:
        blinding = random_scalar()
        before = pvcnn.qmp.commitments.commit_features(made.proving_key, self.FEATURES, blinding)
        options = {"labels": np.array(LABELS), "labels_blinding": BLINDING, "features_blinding": blinding}
        proof = self.prove(made, **options)
        assert proof.statement.features_commitment == before
        pvcnn.verify(made.key, proof.statement, proof)
