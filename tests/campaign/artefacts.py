"""One well-formed artefact of each kind, with keys of its own."""

from __future__ import annotations

from typing import Any

from pvcnn.campaign.artefacts.answer import Answer, ClusterRefusal
from pvcnn.campaign.artefacts.cluster_card import ClusterCard
from pvcnn.campaign.artefacts.commitments import label_commitment
from pvcnn.campaign.artefacts.manifest import Manifest
from pvcnn.campaign.artefacts.registration import Registration
from pvcnn.campaign.artefacts.registry import Registry
from pvcnn.campaign.artefacts.signed import SigningKey

OWNER = SigningKey.generate()
CLUSTER = SigningKey.generate()
TESTERS = tuple(SigningKey.generate() for _ in range(3))
SALT = b"s" * 32


def some_digest(letter: str) -> bytes:
    return letter.encode() * 32


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "campaign": some_digest("c"),
        "owner_sealing_key": some_digest("o"),
        "setup_party": "owner",
        "frames": 1,
        "weights_commitment": b"w" * 48,
        "private_commitment": some_digest("p"),
        "program_digest": some_digest("q"),
        "verification_key_digest": some_digest("v"),
        "aggregation_verifier_key_digest": some_digest("a"),
        "cluster_card_digest": some_digest("k"),
        "encryption_plan_digest": some_digest("e"),
        "proving_key_digest": some_digest("r"),
        "aggregation_key_digest": some_digest("g"),
        "class_names": ("cat", "dog"),
        "logit_scale": 0.25,
        "weights_digest": some_digest("w"),
        "label_key_digest": some_digest("l"),
        "ceremony_digest": b"",
        "leak_digest": some_digest("f"),
        "broken_rules": ("a", "b"),
    }
    return Manifest(signer=OWNER.public, **(fields | changes)).signed(OWNER)


def card(**changes: Any) -> ClusterCard:
    fields: dict[str, Any] = {
        "sealing_key": some_digest("s"),
        "encryption_key": bytes(range(256)),
        "encryption_plan_digest": some_digest("e"),
        "evaluation_keys_digest": some_digest("v"),
    }
    return ClusterCard(signer=CLUSTER.public, **(fields | changes)).signed(CLUSTER)


def registration(tester: int = 0, **changes: Any) -> Registration:
    key = TESTERS[tester]
    fields: dict[str, Any] = {
        "manifest_digest": some_digest("m"),
        "upload_digest": bytes([tester]) * 32,
        "nonce": some_digest("n"),
        "label_commitment": label_commitment(SALT, key.public, [1]),
    }
    return Registration(signer=key.public, **(fields | changes)).signed(key)


def registry() -> Registry:
    return Registry.close(OWNER, some_digest("m"), [registration(tester) for tester in (2, 0, 1)])


def answer(**changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "manifest_digest": some_digest("m"),
        "registry_digest": some_digest("r"),
        "index": 3,
        "answer_digest": some_digest("a"),
        "features_digest": some_digest("f"),
    }
    return Answer(signer=OWNER.public, **(fields | changes)).signed(OWNER)


def refusal() -> ClusterRefusal:
    return ClusterRefusal(signer=CLUSTER.public, context=some_digest("x")).signed(CLUSTER)
