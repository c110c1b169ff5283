"""What the roles of a campaign write for each other: each verified in its campaign's own folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pvcnn.aggregate.schemes import decode_aggregate
from pvcnn.campaign.artefacts import kept_answer, outcome, sealed_labels
from pvcnn.campaign.artefacts.answer import Answer, ClusterRefusal
from pvcnn.campaign.artefacts.batch import Batch
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.folder import CLUSTER_CARD, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.kept_answer import KeptAnswer
from pvcnn.campaign.artefacts.label_opening import LabelOpening
from pvcnn.campaign.artefacts.mail import SealingKey, answer_info, upload_info
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.outcome import ClusterOutcome, check_outcome
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.sealed_labels import CommittedLabels
from pvcnn.campaign.artefacts.signed import SignedArtefact, SigningKey
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.owner_secrets import OwnerSecrets
from pvcnn.campaign.verification import auditor
from pvcnn.encoding import encode
from pvcnn.errors import RangeError, SubmissionRefused, VerificationError
from pvcnn.leak import summary as leak_summary
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.program import Program
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.labels import LabelKey
from pvcnn.qmp.statement import Statement
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

SIGNED = "pvcnn-signed"


def demand_verified(root: Path) -> None:
    """Raises unless `pvcnn verify` accepts the folder."""
    if not auditor.verify(root).verified:
        raise VerificationError("the verdict is that it is not verified")


def in_folder(
    folder: CampaignFolder, scratch: Path, name: str, write: Callable[[Any], bytes]
) -> Callable[[Any], None]:
    """Verifies a copy of the campaign in which the public file `name` is the artefact's encoding."""
    copy = scratch / "public"
    if not copy.exists():
        shutil.copytree(folder.public.path, copy)

    def verify(artefact: Any) -> None:
        path = copy / name
        honest = path.read_bytes()
        try:
            path.write_bytes(write(artefact))
            demand_verified(copy)
        finally:
            path.write_bytes(honest)

    return verify


def public(
    format_name: str,
    name: str,
    decode: Callable[[bytes], Any],
    write: Callable[[Any], bytes],
    share: int,
    campaign: str = "campaign",
) -> Kind:
    """A public file that is not signed."""

    def make(samples: Samples, scratch: Path) -> Target:
        folder: CampaignFolder = getattr(samples, campaign)
        data = (folder.public.path / name).read_bytes()
        return Target(data, decode, write, in_folder(folder, scratch, name, write))

    return Kind(
        format_name if campaign == "campaign" else f"{format_name} ({campaign})", (format_name,), make, share
    )


def resigned(key: SigningKey) -> Callable[[bytes], bytes]:
    """A mutated body under a signature of whoever signed the honest one."""

    def wrap(body: bytes) -> bytes:
        return encode(SIGNED, 1, {"key": key.public, "body": body, "signature": key.sign(body)})

    return wrap


def signed_kinds(
    kind: type[SignedArtefact],
    role: str,
    sample: Callable[[Samples], bytes],
    verifier: Callable[[Samples, Path], Callable[[Any], object]],
) -> list[Kind]:
    """The artefact as it lies there, and its body mutated and then signed by its honest signer."""

    def make(samples: Samples, scratch: Path) -> Target:
        return Target(sample(samples), kind.from_bytes, kind.to_bytes, verifier(samples, scratch))

    def make_resigned(samples: Samples, scratch: Path) -> Target:
        key = samples.signing_key(role)
        honest = kind.from_bytes(sample(samples))
        assert honest.signer == key.public
        verify = verifier(samples, scratch)
        return Target(honest.body(), kind.from_bytes, kind.to_bytes, verify, wrap=resigned(key))

    return [
        Kind(kind.FORMAT, (kind.FORMAT, SIGNED), make),
        Kind(f"{kind.FORMAT}, signed again", (kind.FORMAT,), make_resigned),
    ]


def _public_signed(kind: type[SignedArtefact], role: str, name: str) -> list[Kind]:
    return signed_kinds(
        kind,
        role,
        lambda samples: samples.public(name),
        lambda samples, scratch: in_folder(samples.campaign, scratch, name, kind.to_bytes),
    )


def _in_registry(samples: Samples, scratch: Path) -> Callable[[Registration], None]:
    """The owner closes a registry with this registration in the first one's place."""
    manifest = Proceedings.read(samples.campaign.public).manifest
    honest = Registry.from_bytes(samples.public("registry.cbor"))
    verify = in_folder(samples.campaign, scratch, "registry.cbor", Registry.to_bytes)

    def check(registration: Registration) -> None:
        if registration == honest.registrations[0]:
            return verify(honest)
        registration.check_commitment(manifest.takes_labels)
        others = [registration, *honest.registrations[1:]]
        others.sort(key=lambda each: each.upload_digest)
        changed = replace(honest, registrations=tuple(others), signature=b"").signed(
            samples.signing_key("owner")
        )
        return verify(changed)

    return check


def _first_tester(samples: Samples) -> str:
    first = Registry.from_bytes(samples.public("registry.cbor")).registrations[0].signer
    roles = ("tester-0", "tester-1")
    return next(role for role in roles if samples.signing_key(role).public == first)


def _registrations() -> list[Kind]:
    """Which tester comes first is chance, so the signer is only known with the samples."""

    def sample(samples: Samples) -> bytes:
        return Registry.from_bytes(samples.public("registry.cbor")).registrations[0].to_bytes()

    def make(samples: Samples, scratch: Path) -> Target:
        return Target(
            sample(samples), Registration.from_bytes, Registration.to_bytes, _in_registry(samples, scratch)
        )

    def make_resigned(samples: Samples, scratch: Path) -> Target:
        wrap = resigned(samples.signing_key(_first_tester(samples)))
        target = make(samples, scratch)
        return replace(target, data=Registration.from_bytes(target.data).body(), wrap=wrap)

    return [
        Kind("pvcnn-registration", ("pvcnn-registration", SIGNED), make),
        Kind("pvcnn-registration, signed again", ("pvcnn-registration",), make_resigned),
    ]


def _refusal(samples: Samples) -> bytes:
    key = samples.signing_key("cluster")
    context = Proceedings.read(samples.campaign.public).submission(samples.campaign.public, 0).context
    return ClusterRefusal(signer=key.public, context=context).signed(key).to_bytes()


def _check_outcome(samples: Samples) -> Callable[[ClusterOutcome], None]:
    folder = samples.campaign.public
    submission = Proceedings.read(folder).submission(folder, 0)
    key = VerificationKey.from_bytes(samples.public("verification_key.cbor"))
    cluster = ClusterCard.from_bytes(folder.read(CLUSTER_CARD)).signer
    return lambda made: check_outcome(made, submission, key, cluster)


def _check_refusal(samples: Samples) -> Callable[[ClusterRefusal], None]:
    check = _check_outcome(samples)
    return lambda made: check(ClusterOutcome(refusal=made))


def _outcome(samples: Samples, scratch: Path) -> Target:
    context = Proceedings.read(samples.campaign.public).submission(samples.campaign.public, 0).context
    data = (samples.campaign.root / "proofs" / f"{context.hex()}.cbor").read_bytes()
    return Target(data, ClusterOutcome.from_bytes, ClusterOutcome.to_bytes, _check_outcome(samples))


def _refusing_outcome(samples: Samples, scratch: Path) -> Target:
    made = ClusterOutcome(refusal=ClusterRefusal.from_bytes(_refusal(samples)))
    return Target(
        made.to_bytes(), ClusterOutcome.from_bytes, ClusterOutcome.to_bytes, _check_outcome(samples)
    )


def _kept_answer(samples: Samples, scratch: Path) -> Target:
    path = samples.campaign.private("owner") / "remembered" / "answer-000000.cbor"
    return Target(path.read_bytes(), KeptAnswer.from_bytes, KeptAnswer.to_bytes)


def _identity(samples: Samples, scratch: Path) -> Target:
    data = (samples.campaign.private("owner") / "identity.cbor").read_bytes()
    inert = "the role's own secret: any 32 bytes are a key, under which nothing that it signed verifies"
    return Target(data, Identity.from_bytes, Identity.to_bytes, inert=inert)


def _cluster_secrets(samples: Samples, scratch: Path) -> Target:
    secrets = ClusterSecrets.load_from(samples.campaign.private("cluster"))
    inert = "sealed to the worker that drew the key; with other secrets its proofs do not verify"
    return Target(secrets.to_bytes(), ClusterSecrets.from_bytes, ClusterSecrets.to_bytes, inert=inert)


def _opening(samples: Samples, scratch: Path) -> Target:
    """What `OwnerSecrets` loads from three files, the first of them mutated."""
    folder = samples.campaign
    own = scratch / "owner"
    shutil.copytree(folder.private("owner"), own)
    program = Program.from_bytes(samples.public("program.cbor"))
    manifest = Proceedings.read(folder.public).manifest

    def decode(data: bytes) -> OwnerSecrets:
        (own / "opening.cbor").write_bytes(data)
        return OwnerSecrets.load_from(own, program)

    def verify(secrets: OwnerSecrets) -> None:
        said = (secrets.campaign, secrets.commitment, secrets.public.published, secrets.logit_scale)
        if said != (
            manifest.campaign,
            manifest.private_commitment,
            manifest.publishes_weights,
            manifest.logit_scale,
        ):
            raise VerificationError("not what the owner's manifest says")

    return Target((own / "opening.cbor").read_bytes(), decode, verify=verify)


def _labels(samples: Samples, scratch: Path) -> Target:
    (path, *_) = sorted((samples.count.private("tester-0")).glob("label-*.cbor"))
    key = LabelKey.from_bytes((samples.count.public.path / "label_key.cbor").read_bytes())
    honest = CommittedLabels.from_bytes(path.read_bytes()).commitment(key)

    def verify(labels: CommittedLabels) -> None:
        try:
            commitment = labels.commitment(key)
        except (ValueError, RangeError) as error:  # as `open_labels` does
            raise SubmissionRefused("not labels of this campaign") from error
        if commitment != honest:
            raise VerificationError("not the labels that the tester committed to")

    return Target(path.read_bytes(), CommittedLabels.from_bytes, CommittedLabels.to_bytes, verify)


def _batch(samples: Samples, scratch: Path) -> Target:
    manifest = Proceedings.read(samples.count.public).manifest
    batch = Batch((b"frame" * 100,), b"labels" * 20)
    named_by = "sealed: the registration or the answer names the blob"
    return Target(
        batch.to_bytes(),
        Batch.from_bytes,
        Batch.to_bytes,
        lambda made: made.check(manifest),
        named_by=named_by,
    )


def _sealed(direction: str) -> Callable[[Samples, Path], Target]:
    def make(samples: Samples, scratch: Path) -> Target:
        folder = samples.campaign
        proceedings = Proceedings.read(folder.public)
        submission = proceedings.submission(folder.public, 0)
        if direction == "owner":
            digest, key = submission.registration.upload_digest, _sealing(folder, "owner")
            info = upload_info(
                proceedings.manifest.digest(), submission.registration.signer, submission.registration.nonce
            )
        else:
            digest, key = submission.answer.answer_digest, _sealing(folder, "cluster")
            info = answer_info(proceedings.manifest.digest(), proceedings.registry.digest(), 0)
        data = (folder.mail(direction) / f"{digest.hex()}.sealed").read_bytes()
        return Target(data, lambda blob: key.open(blob, info), shape="octets")

    return make


def _sealing(folder: CampaignFolder, role: str) -> SealingKey:
    return Identity.load_from(folder.private(role), "keygen").sealing


KINDS = [
    *_public_signed(Manifest, "owner", "manifest.cbor"),
    *_public_signed(ClusterCard, "cluster", "cluster.cbor"),
    *_registrations(),
    *_public_signed(Registry, "owner", "registry.cbor"),
    *_public_signed(Answer, "owner", "answers/000000.cbor"),
    *signed_kinds(
        ClusterRefusal,
        "cluster",
        _refusal,
        lambda samples, _: _check_refusal(samples),
    ),
    public("pvcnn-label-opening", "labels/000000.cbor", LabelOpening.from_bytes, LabelOpening.to_bytes, 100),
    public("pvcnn-statement", "statements/000000.cbor", Statement.from_bytes, Statement.to_bytes, 50),
    public(
        "pvcnn-statement", "statements/000000.cbor", Statement.from_bytes, Statement.to_bytes, 25, "count"
    ),
    public(leak_summary.FORMAT, "leak.cbor", LeakSummary.from_bytes, LeakSummary.to_bytes, 50),
    public(
        "pvcnn-packed-aggregate", "aggregate.cbor", decode_aggregate, lambda made: bytes(made.to_bytes()), 50
    ),
    Kind(outcome.FORMAT, (outcome.FORMAT,), _outcome, 50),
    Kind(f"{outcome.FORMAT} (refusal)", (outcome.FORMAT,), _refusing_outcome, 50),
    Kind(kept_answer.FORMAT, (kept_answer.FORMAT,), _kept_answer, 50),
    Kind("pvcnn-identity", ("pvcnn-identity",), _identity),
    Kind("pvcnn-cluster-secrets", ("pvcnn-cluster-secrets",), _cluster_secrets, 20),
    Kind("pvcnn-owner-opening", ("pvcnn-owner-opening",), _opening),
    Kind(sealed_labels.FORMAT, (sealed_labels.FORMAT,), _labels, 50),
    Kind("pvcnn-batch", ("pvcnn-batch",), _batch),
    Kind("sealed upload", (), _sealed("owner"), 10),
    Kind("sealed answer", (), _sealed("cluster"), 20),
]
