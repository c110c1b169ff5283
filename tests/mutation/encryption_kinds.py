"""Ciphertexts, the keys to them, and lines of a job's log."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pvcnn.campaign.artefacts.batch import Batch
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.mail import answer_info, upload_info
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.compute.events import Event, WorkerName
from pvcnn.compute.events import Kind as Happening
from pvcnn.compute.job_events import (
    FORMAT,
    PREFIX,
    Delivered,
    Ended,
    Folded,
    Happened,
    JobEvent,
    KeysHeld,
    KeysWanted,
    Proved,
    decode_line,
    encode_line,
)
from pvcnn.errors import DecodeError
from pvcnn.he.encryption_plan import EncryptionPlan
from tests.mutation.campaign_kinds import _sealing, public
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_REGISTRY = b"r" * 32
_IN_MAIL = "in a sealed blob that a signed registration or answer names"


def _plan(samples: Samples) -> EncryptionPlan:
    return EncryptionPlan.from_bytes(samples.public("encryption_plan.cbor"))


def _frame(samples: Samples, scratch: Path) -> Target:
    """As the owner reads it and hands it to SEAL."""
    from pvcnn.he.checks import frame_content, read_ciphertexts
    from pvcnn.he.context import open_context

    plan, folder = _plan(samples), samples.campaign
    context, content = open_context(plan), frame_content(plan)
    proceedings = Proceedings.read(folder.public)
    registration = proceedings.registry.registrations[0]
    blob = (folder.mail("owner") / f"{registration.upload_digest.hex()}.sealed").read_bytes()
    info = upload_info(proceedings.manifest.digest(), registration.signer, registration.nonce)
    (message,) = Batch.from_bytes(_sealing(folder, "owner").open(blob, info)).messages

    def read(data: bytes) -> object:
        channels = read_ciphertexts(plan, content, context.parms_id(content.primes), data)
        return [context.ciphertext(channel, content.primes, plan.scale) for channel in channels]

    return Target(message, read, named_by=_IN_MAIL)


def _features(samples: Samples, scratch: Path) -> Target:
    """As the cluster decrypts them."""
    from pvcnn.he.decryption import decrypt_features
    from pvcnn.he.keys import SecretKey

    plan, folder = _plan(samples), samples.campaign
    secret = SecretKey.from_bytes(
        plan, (folder.private("cluster") / "encryption_secret_key.bin").read_bytes()
    )
    proceedings = Proceedings.read(folder.public)
    answer = proceedings.submission(folder.public, 0).answer
    blob = (folder.mail("cluster") / f"{answer.answer_digest.hex()}.sealed").read_bytes()
    info = answer_info(proceedings.manifest.digest(), proceedings.registry.digest(), 0)
    (message,) = Batch.from_bytes(_sealing(folder, "cluster").open(blob, info)).messages
    return Target(message, lambda data: decrypt_features(plan, secret, data), named_by=_IN_MAIL)


def _key(which: str) -> Callable[[Samples, Path], Target]:
    def make(samples: Samples, scratch: Path) -> Target:
        from pvcnn.he.context import open_context
        from pvcnn.he.keys import EvaluationKeys, PublicKey, SecretKey

        plan, folder = _plan(samples), samples.campaign
        kind: Any
        if which == "secret":
            kind, data = SecretKey, (folder.private("cluster") / "encryption_secret_key.bin").read_bytes()
        elif which == "public":
            kind, data = PublicKey, ClusterCard.from_bytes(samples.public("cluster.cbor")).encryption_key
        else:
            kind, data = EvaluationKeys, (folder.root / "keys" / "evaluation_keys.bin").read_bytes()
        context = open_context(plan)

        def load(key: Any) -> None:
            key.load(context)

        return Target(
            data,
            lambda given: kind.from_bytes(plan, given),
            lambda key: bytes(key.to_bytes(plan)),
            load,
            named_by="the cluster's card" if which != "secret" else "",
            inert="the cluster's own: with another one it decrypts noise, out of range"
            if which == "secret"
            else "",
        )

    return make


_EVENTS: tuple[JobEvent, ...] = (
    Happened(Event(Happening("done"), 3, WorkerName("host", "node", 7), "done"), "f" * 64),
    Delivered(3, b"outcome", b"sealed"),
    KeysWanted(b"k" * 32),
    KeysHeld(b"k" * 32),
    Proved(1000, 2000, 1500, 2),
    Folded(b"aggregate"),
    Ended("no workers"),
)
_UNBELIEVED = "nothing in a log is believed: what it delivers is verified"


def _line(event: JobEvent) -> Callable[[Samples, Path], Target]:
    """The artefact within the line."""
    data = base64.b64decode(encode_line(_REGISTRY, event).removeprefix(PREFIX))

    def read(line: bytes) -> JobEvent:
        found = decode_line(_REGISTRY, line.decode())
        assert found is not None
        return found

    return lambda samples, scratch: Target(
        data,
        read,
        lambda found: encode_line(_REGISTRY, found).encode(),
        wrap=lambda mutant: PREFIX.encode() + base64.b64encode(mutant),
        inert=_UNBELIEVED,
    )


def _characters(samples: Samples, scratch: Path) -> Target:
    """The line itself, of which other lines are no events."""

    def read(line: bytes) -> JobEvent:
        found = decode_line(_REGISTRY, line.decode(errors="surrogateescape"))
        if found is None:
            raise DecodeError("no event")
        return found

    data = encode_line(_REGISTRY, _EVENTS[0]).encode()
    return Target(data, read, lambda e: encode_line(_REGISTRY, e).encode(), shape="octets", inert=_UNBELIEVED)


KINDS = [
    public(
        "pvcnn-encryption-plan",
        "encryption_plan.cbor",
        EncryptionPlan.from_bytes,
        EncryptionPlan.to_bytes,
        50,
    ),
    Kind("pvcnn-ciphertext, a frame", ("pvcnn-ciphertext",), _frame, 10),
    Kind("pvcnn-ciphertext, features", ("pvcnn-ciphertext",), _features, 20),
    Kind("pvcnn-encryption-secret-key", ("pvcnn-encryption-secret-key",), _key("secret"), 10),
    Kind("pvcnn-encryption-public-key", ("pvcnn-encryption-public-key",), _key("public"), 10),
    Kind("pvcnn-encryption-evaluation-keys", ("pvcnn-encryption-evaluation-keys",), _key("evaluation"), 1),
    *(Kind(f"{FORMAT}, {event.NAME}", (FORMAT,), _line(event), 40) for event in _EVENTS),
    Kind(f"{FORMAT}, the line", (FORMAT,), _characters),
]
