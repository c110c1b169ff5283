"""What the verifier of a public folder must refuse, and what it must count as failed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.campaign.artefacts.answer import Answer, ClusterRefusal
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import (
    AGGREGATE,
    ANSWERS,
    CLUSTER_CARD,
    LABELS,
    MANIFEST,
    OPTIONAL_FILES,
    PUBLIC_FILES,
    REFUSALS,
    REGISTRY,
    STATEMENTS,
    VERIFICATION_KEY,
    CampaignFolder,
    PublicDirectory,
    PublicFile,
)
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.artefacts.signed import SigningKey
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.verification.auditor import verify
from pvcnn.campaign.verification.report import Status
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
from tests.campaign.hostile import flipped
from tests.campaign.tiny import Played

REFUSED = (VerificationError, DecodeError)
SUBMISSIONS = 4


def public_files(folder: CampaignFolder) -> list[Path]:
    return sorted(path for path in folder.public.path.rglob("*") if path.is_file())


def signing_key(folder: CampaignFolder, role: str) -> SigningKey:
    return Identity.load_from(folder.private(role), "split").signing


def proof_of(folder: CampaignFolder, index: int) -> Proof:
    """The cluster's own proof of a submission."""
    submission = Proceedings.read(folder.public).submission(folder.public, index)
    proof = ClusterOutcome.from_bytes(folder.outcome(submission.context).read_bytes()).proof
    assert proof is not None
    return proof


def statement_of(folder: CampaignFolder, index: int) -> Statement:
    return Statement.from_bytes(folder.public.read_indexed(STATEMENTS, index))


def write_statement(folder: CampaignFolder, index: int, statement: Statement) -> None:
    folder.public.indexed(STATEMENTS, index).write_bytes(statement.to_bytes())


def publish_aggregate(folder: CampaignFolder, proofs: dict[int, Proof]) -> None:
    """A dishonest aggregator: any valid proofs at any places, under an aggregate that is valid for them."""
    for index in folder.public.indices(STATEMENTS):
        folder.public.indexed(STATEMENTS, index).unlink()
    for index, proof in proofs.items():
        write_statement(folder, index, proof.statement)
    key = AggregationKey.from_bytes(folder.aggregation_key.read_bytes())
    verification_key = VerificationKey.from_bytes(folder.public.read(VERIFICATION_KEY))
    folded = aggregate(key, verification_key, [proofs[index] for index in sorted(proofs)])
    folder.public.file(AGGREGATE).write_bytes(folded.to_bytes())


def swap(folder: CampaignFolder, which: PublicDirectory, first: int, second: int) -> None:
    paths = folder.public.indexed(which, first), folder.public.indexed(which, second)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)


def test_the_untouched_copy_verifies(copy: CampaignFolder) -> None:
    verdict = verify(copy.root)
    assert verdict.verified
    assert (verdict.registered, verdict.proved, verdict.failed) == (SUBMISSIONS, SUBMISSIONS, 0)


def test_public_alone_suffices(copy: CampaignFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "anywhere"
    shutil.copytree(copy.public.path, elsewhere)
    shutil.rmtree(copy.root)
    assert verify(elsewhere).verified


def test_one_byte_changed_in_any_file_is_refused(copy: CampaignFolder) -> None:
    generator = random.Random(2)
    for path in public_files(copy):
        original = path.read_bytes()
        for _ in range(6):
            changed = bytearray(original)
            changed[generator.randrange(len(original))] ^= generator.randrange(1, 256)
            path.write_bytes(bytes(changed))
            with pytest.raises(REFUSED):
                verify(copy.root)
        path.write_bytes(original)
    assert verify(copy.root).verified


def test_truncated_extended_and_random_files_are_refused(copy: CampaignFolder) -> None:
    generator = random.Random(3)
    for path in public_files(copy):
        original = path.read_bytes()
        for bad in (b"", original[:-1], original + b"\0", generator.randbytes(len(original))):
            path.write_bytes(bad)
            with pytest.raises(REFUSED):
                verify(copy.root)
        path.write_bytes(original)


def test_bytes_all_over_the_small_files_count(copy: CampaignFolder) -> None:
    """Files of which there is one a submission: a bit in every fourth byte of one of each kind."""
    public = copy.public
    paths = [public.indexed(which, 1) for which in (ANSWERS, LABELS, STATEMENTS)]
    for path in paths:
        original = path.read_bytes()
        for position in range(0, len(original), 4):
            path.write_bytes(flipped(original, position, position % 8))
            with pytest.raises(REFUSED):
                verify(copy.root)
        path.write_bytes(original)


@pytest.mark.parametrize(
    "which", [each for each in PUBLIC_FILES if each not in OPTIONAL_FILES], ids=lambda which: which.name
)
def test_a_missing_file_is_named_with_its_step(copy: CampaignFolder, which: PublicFile) -> None:
    copy.public.file(which).unlink()
    with pytest.raises(CampaignError, match=rf"{which.name}.*`pvcnn {which.step}`"):
        verify(copy.root)


def test_a_missing_answer_is_named_with_its_step(copy: CampaignFolder) -> None:
    copy.public.indexed(ANSWERS, 2).unlink()
    with pytest.raises(CampaignError, match=r"000002\.cbor.*`pvcnn infer`"):
        verify(copy.root)


@pytest.mark.parametrize("name", ["extra.cbor", "answers/000004.cbor", "statements/x", "labels/000099.cbor"])
def test_an_unknown_file_is_refused(copy: CampaignFolder, name: str) -> None:
    (copy.public.path / name).write_bytes(copy.public.read_indexed(ANSWERS, 0))
    with pytest.raises(REFUSED):
        verify(copy.root)


class TestContexts:
    """A valid proof in a valid aggregate is refused where its context does not belong."""

    def test_of_another_submission_and_tester(self, copy: CampaignFolder) -> None:
        proofs = {index: proof_of(copy, index) for index in range(SUBMISSIONS)}
        publish_aggregate(copy, proofs)
        assert verify(copy.root).verified
        for place in (1, 2, 3):
            publish_aggregate(copy, proofs | {place: proofs[0]})
            with pytest.raises(VerificationError, match=f"statement {place} is for another submission"):
                verify(copy.root)

    def test_of_another_campaign_and_model(self, copy: CampaignFolder, other: Played) -> None:
        write_statement(copy, 0, statement_of(other.folder, 0))
        with pytest.raises(VerificationError, match="another submission, registry or campaign"):
            verify(copy.root)

    def test_of_another_registry(self, copy: CampaignFolder) -> None:
        """An owner who signs a second registry, without one submission, and answers it anew."""
        key = signing_key(copy, "owner")
        proceedings = Proceedings.read(copy.public)
        proofs = [proof_of(copy, index) for index in range(SUBMISSIONS)]
        answers = [proceedings.submission(copy.public, index).answer for index in range(SUBMISSIONS)]
        for which in (ANSWERS, LABELS):
            for index in range(SUBMISSIONS):
                copy.public.indexed(which, index).unlink()
        second = replace(
            proceedings.registry, registrations=proceedings.registry.registrations[1:], signature=b""
        ).signed(key)
        copy.public.file(REGISTRY).write_bytes(second.to_bytes())
        for index, answer in enumerate(answers[1:]):
            again = replace(answer, registry_digest=second.digest(), index=index).signed(key)
            copy.public.indexed(ANSWERS, index).write_bytes(again.to_bytes())
        publish_aggregate(copy, dict(enumerate(proofs[1:])))
        with pytest.raises(VerificationError, match="another submission, registry or campaign"):
            verify(copy.root)

    @pytest.mark.parametrize("digest", ["answer_digest", "features_digest"])
    def test_of_another_answer(self, copy: CampaignFolder, digest: str) -> None:
        """An owner who answers a second time, or says that it did, after the decision is known."""
        key = signing_key(copy, "owner")
        answer = Proceedings.read(copy.public).submission(copy.public, 1).answer
        changes: dict[str, Any] = {digest: b"x" * 32}
        again = replace(answer, **changes).signed(key)
        copy.public.indexed(ANSWERS, 1).write_bytes(again.to_bytes())
        with pytest.raises(VerificationError, match="statement 1 is for another submission"):
            verify(copy.root)


class TestStatements:
    def test_with_another_decision(self, copy: CampaignFolder) -> None:
        statement = statement_of(copy, 1)
        write_statement(copy, 1, replace(statement, outputs=(1 - statement.outputs[0],)))
        with pytest.raises(VerificationError, match="aggregate"):
            verify(copy.root)

    @pytest.mark.parametrize("output", [2, -1])
    def test_with_no_decision(self, copy: CampaignFolder, output: int) -> None:
        write_statement(copy, 1, replace(statement_of(copy, 1), outputs=(output,)))
        with pytest.raises(VerificationError, match="statement 1 holds something else than decisions"):
            verify(copy.root)

    def test_with_other_features(self, copy: CampaignFolder) -> None:
        features = statement_of(copy, 0).features_commitment
        write_statement(copy, 1, replace(statement_of(copy, 1), features_commitment=features))
        with pytest.raises(VerificationError, match="aggregate"):
            verify(copy.root)

    def test_with_a_flipped_bit_in_its_context(self, copy: CampaignFolder) -> None:
        statement = statement_of(copy, 1)
        write_statement(copy, 1, replace(statement, context=flipped(statement.context, 7)))
        with pytest.raises(VerificationError, match="another submission"):
            verify(copy.root)

    def test_swapped(self, copy: CampaignFolder) -> None:
        swap(copy, STATEMENTS, 0, 1)
        with pytest.raises(VerificationError, match="another submission"):
            verify(copy.root)

    def test_duplicated(self, copy: CampaignFolder) -> None:
        write_statement(copy, 1, statement_of(copy, 0))
        with pytest.raises(VerificationError, match="another submission"):
            verify(copy.root)

    @pytest.mark.parametrize("index", range(SUBMISSIONS))
    def test_dropped(self, copy: CampaignFolder, index: int) -> None:
        copy.public.indexed(STATEMENTS, index).unlink()
        with pytest.raises(VerificationError, match="3 statements, but an aggregate of 4"):
            verify(copy.root)

    def test_permuted_in_the_aggregate(self, copy: CampaignFolder) -> None:
        """An aggregate of the right statements in another order than the registry's."""
        proofs = {index: proof_of(copy, index) for index in range(SUBMISSIONS)}
        order: Iterable[int] = (1, 0, 2, 3)
        publish_aggregate(copy, dict(enumerate(proofs[index] for index in order)))
        for index, proof in proofs.items():
            write_statement(copy, index, proof.statement)
        with pytest.raises(VerificationError, match="aggregate"):
            verify(copy.root)


class TestOutcomes:
    def test_a_submission_left_out_counts_as_failed(self, copy: CampaignFolder) -> None:
        publish_aggregate(copy, {index: proof_of(copy, index) for index in (0, 2, 3)})
        verdict = verify(copy.root)
        assert not verdict.verified
        assert (verdict.registered, verdict.proved, verdict.missing, verdict.failed) == (4, 3, 1, 1)
        assert verdict.outcomes[1].status is Status.MISSING
        assert verdict.accuracy()[1] == SUBMISSIONS
        assert verdict.outcomes[1].correct == 0
        assert "4 submissions registered, 3 proved:" in verdict.sentences()[0]
        assert "0 refused, 1 missing: these count as failed." in verdict.sentences()

    def test_none_is_both_proved_and_refused(self, copy: CampaignFolder) -> None:
        key = signing_key(copy, "cluster")
        context = statement_of(copy, 1).context
        refusal = ClusterRefusal(signer=key.public, context=context).signed(key)
        copy.public.indexed(REFUSALS, 1).write_bytes(refusal.to_bytes())
        with pytest.raises(VerificationError, match="both refused and proved"):
            verify(copy.root)

    def test_a_refusal_is_the_clusters_and_for_this_submission(self, copy: CampaignFolder) -> None:
        publish_aggregate(copy, {index: proof_of(copy, index) for index in (0, 2, 3)})
        stranger, cluster = SigningKey.generate(), signing_key(copy, "cluster")
        submission = Proceedings.read(copy.public).submission(copy.public, 1)
        path = copy.public.indexed(REFUSALS, 1)
        for key, context, words in (
            (stranger, submission.context, "not signed by the cluster"),
            (cluster, statement_of(copy, 0).context, "another submission"),
        ):
            path.write_bytes(ClusterRefusal(signer=key.public, context=context).signed(key).to_bytes())
            with pytest.raises(VerificationError, match=words):
                verify(copy.root)
        refusal = ClusterRefusal(signer=cluster.public, context=submission.context).signed(cluster)
        path.write_bytes(refusal.to_bytes())
        verdict = verify(copy.root)
        assert verdict.verified
        assert (verdict.refused, verdict.failed) == (1, 1)

    def test_an_owner_cannot_refuse_what_it_answered(self, copy: CampaignFolder) -> None:
        key = signing_key(copy, "owner")
        answer = Proceedings.read(copy.public).submission(copy.public, 1).answer
        refused = replace(answer, answer_digest=b"", features_digest=b"", reason="inconvenient").signed(key)
        copy.public.indexed(ANSWERS, 1).write_bytes(refused.to_bytes())
        with pytest.raises(VerificationError, match="both refused and proved"):
            verify(copy.root)

    def test_labels_open_only_what_was_committed(self, copy: CampaignFolder) -> None:
        swap(copy, LABELS, 0, 1)
        with pytest.raises(VerificationError, match="label"):
            verify(copy.root)

    def test_a_label_that_stays_closed_is_not_counted(self, copy: CampaignFolder) -> None:
        copy.public.indexed(LABELS, 1).unlink()
        assert verify(copy.root).accuracy()[1] == SUBMISSIONS - 1


class TestSigners:
    def test_answers_are_the_owners_and_in_their_place(self, copy: CampaignFolder) -> None:
        swap(copy, ANSWERS, 0, 1)
        with pytest.raises(VerificationError, match="answer 0 is for another submission"):
            verify(copy.root)
        swap(copy, ANSWERS, 0, 1)
        stranger = SigningKey.generate()
        answer = Answer.from_bytes(copy.public.read_indexed(ANSWERS, 0))
        forged = replace(answer, signer=stranger.public).signed(stranger)
        copy.public.indexed(ANSWERS, 0).write_bytes(forged.to_bytes())
        with pytest.raises(VerificationError, match="not signed by the owner"):
            verify(copy.root)

    def test_a_stranger_cannot_take_over_the_manifest_or_registry(self, copy: CampaignFolder) -> None:
        stranger = SigningKey.generate()
        proceedings = Proceedings.read(copy.public)
        registry = replace(proceedings.registry, signer=stranger.public).signed(stranger)
        copy.public.file(REGISTRY).write_bytes(registry.to_bytes())
        with pytest.raises(VerificationError, match="not signed by the owner"):
            verify(copy.root)
        manifest = replace(proceedings.manifest, signer=stranger.public).signed(stranger)
        copy.public.file(MANIFEST).write_bytes(manifest.to_bytes())
        with pytest.raises(VerificationError, match=r"another (manifest|campaign)"):
            verify(copy.root)

    def test_an_owner_cannot_change_the_manifest_afterwards(self, copy: CampaignFolder) -> None:
        key = signing_key(copy, "owner")
        manifest = Manifest.from_bytes(copy.public.read(MANIFEST))
        changed = replace(manifest, setup_party="a trustworthy notary").signed(key)
        copy.public.file(MANIFEST).write_bytes(changed.to_bytes())
        with pytest.raises(VerificationError, match="another manifest"):
            verify(copy.root)

    def test_another_clusters_card_is_refused(self, copy: CampaignFolder, other: Played) -> None:
        copy.public.file(CLUSTER_CARD).write_bytes(other.folder.public.read(CLUSTER_CARD))
        with pytest.raises(VerificationError, match=r"cluster\.cbor is not the file"):
            verify(copy.root)
        stranger = SigningKey.generate()
        card = ClusterCard.from_bytes(other.folder.public.read(CLUSTER_CARD))
        copy.public.file(CLUSTER_CARD).write_bytes(
            replace(card, signer=stranger.public).signed(stranger).to_bytes()
        )
        with pytest.raises(VerificationError, match=r"cluster\.cbor is not the file"):
            verify(copy.root)

    def test_every_file_of_another_campaign_is_refused(self, copy: CampaignFolder, other: Played) -> None:
        for path in public_files(other.folder):
            name = path.relative_to(other.folder.public.path)
            target = copy.public.path / name
            original = target.read_bytes()
            foreign = path.read_bytes()
            if foreign == original:  # the program and the encryption plan are the same
                continue
            target.write_bytes(foreign)
            with pytest.raises(REFUSED):
                verify(copy.root)
            target.write_bytes(original)
        assert verify(copy.root).verified
