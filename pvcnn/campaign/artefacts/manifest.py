"""The manifest: what a campaign is about, signed by the owner.

Every other public file is tied to it: its digest is in the manifest, or a signature by a key that
is, or the aggregate's proof.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pvcnn.algebra.constants import G1_BYTES
from pvcnn.campaign.artefacts.folder import MANIFEST
from pvcnn.campaign.artefacts.signed import DIGEST_BYTES, KEY_BYTES, SignedArtefact, printable
from pvcnn.encoding import Fields
from pvcnn.errors import DecodeError
from pvcnn.program.private_rules import RULES

CAMPAIGN_BYTES = 32
MAX_SETUP_PARTY = 64
MAX_CLASS_NAME = 64
#: More would not fit into a manifest's file.
MAX_CLASS_NAMES = 1 << 10

_DIGESTS = (
    "private_commitment",
    "program_digest",
    "verification_key_digest",
    "aggregation_verifier_key_digest",
    "cluster_card_digest",
    "encryption_plan_digest",
    "proving_key_digest",
    "aggregation_key_digest",
)


def check_setup_party(name: str) -> None:
    """Raises ValueError unless `name` is one printable line and not the cluster, which may not do it."""
    if not 0 < len(name) <= MAX_SETUP_PARTY or not name.isprintable():
        raise ValueError(f"the setup party needs a printable name of at most {MAX_SETUP_PARTY} characters")
    if name == "cluster":
        raise ValueError("the cluster must not run the setup: it could then forge its own proofs")


def check_who_made_keys(setup_party: str, ceremony_digest: bytes) -> None:
    """Raises ValueError unless it was a ceremony, and nobody's name stands beside it, or one proper party."""
    if not ceremony_digest:
        check_setup_party(setup_party)
    elif setup_party:
        raise ValueError(f"the keys are of a ceremony: {setup_party!r} cannot be named as the setup party")


def check_class_names(names: Sequence[Any]) -> None:
    """Raises ValueError unless all are printable lines that differ and are no numbers, or there is none."""
    if len(names) > MAX_CLASS_NAMES or len(set(map(str, names))) != len(names):
        raise ValueError(f"classes have at most {MAX_CLASS_NAMES} names, all different")
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_CLASS_NAME or not name.isprintable():
            raise ValueError(f"a class needs a printable name of at most {MAX_CLASS_NAME} characters")
        if name.isdecimal():
            raise ValueError(f"a class cannot be named {name}: a number stands for itself")


def check_broken_rules(letters: Sequence[Any]) -> None:
    """Raises ValueError unless these are letters of rules, each at most once and in their order."""
    if list(letters) != [rule for rule in RULES if rule in letters]:
        raise ValueError(f"broken rules are some of {', '.join(RULES)}, in this order")


def check_logit_scale(scale: float) -> None:
    """Raises ValueError unless the scale is positive and finite."""
    if not 0 < scale < math.inf:
        raise ValueError("the scale of logits must be positive and finite")


def encode_scale(scale: float | None) -> bytes:
    """A big-endian double, or nothing."""
    return b"" if scale is None else struct.pack(">d", scale)


def decode_scale(fields: Fields) -> float | None:
    """Inverse of `encode_scale`. Raises DecodeError."""
    data = fields.octets("logit_scale", max_length=8)
    if not data:
        return None
    if len(data) != 8:
        raise DecodeError("a scale of logits has 8 bytes")
    (scale,) = struct.unpack(">d", data)
    try:
        check_logit_scale(scale)
    except ValueError as error:
        raise DecodeError(str(error)) from error
    return float(scale)


@dataclass(frozen=True, kw_only=True)
class Manifest(SignedArtefact):
    """`signer` is the owner's Ed25519 key. Digests are SHA-256 of files as they lie there.

    campaign             32 random bytes
    owner_sealing_key    X25519, to which testers seal their uploads
    setup_party          who made the keys and could forge everything; empty if a ceremony made them
    frames               frames in one submission, which share one proof
    weights_commitment   D_w, eq. (8): also inside the verification key
    private_commitment   eq. (21)
    class_names          of the program's classes, in their order; empty where it has none but numbers
    logit_scale          times a revealed integer, by the owner's account, the network's logit; or None
    weights_digest       of the file of the public part's weights, if they are published; empty if committed
    label_key_digest     of the label key, if testers commit to labels for a count; else empty
    ceremony_digest      of the record of the ceremony that made the keys; empty if a single party did
    leak_digest          of what attacks on the cut found, as the owner says; empty if it says nothing
    broken_rules         letters of the rules for private parts that this one fails, in their order
    """

    FORMAT: ClassVar[str] = "pvcnn-manifest"
    MAX_BYTES: ClassVar[int] = MANIFEST.max_bytes

    campaign: bytes
    owner_sealing_key: bytes
    setup_party: str
    frames: int
    weights_commitment: bytes
    private_commitment: bytes
    program_digest: bytes
    verification_key_digest: bytes
    aggregation_verifier_key_digest: bytes
    cluster_card_digest: bytes
    encryption_plan_digest: bytes
    proving_key_digest: bytes
    aggregation_key_digest: bytes
    class_names: tuple[str, ...] = ()
    logit_scale: float | None = None
    weights_digest: bytes = b""
    label_key_digest: bytes = b""
    ceremony_digest: bytes = b""
    leak_digest: bytes = b""
    broken_rules: tuple[str, ...] = ()

    @property
    def publishes_weights(self) -> bool:
        """Whether the public part's weights lie in public/, as coefficients of the circuit."""
        return bool(self.weights_digest)

    @property
    def takes_labels(self) -> bool:
        """Whether registrations hold a D_lab, of which a count is proved, and not labels to be opened."""
        return bool(self.label_key_digest)

    def shares_setup_with(self, other: Manifest) -> bool:
        """Whether both name the same owner, keys, program and commitments: all but the campaign's name."""
        return replace(self, campaign=other.campaign, signature=other.signature) == other

    def fields(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "owner_sealing_key": self.owner_sealing_key,
            "setup_party": self.setup_party,
            "frames": self.frames,
            "weights_commitment": self.weights_commitment,
            **{name: getattr(self, name) for name in _DIGESTS},
            "class_names": list(self.class_names),
            "logit_scale": encode_scale(self.logit_scale),
            "weights_digest": self.weights_digest,
            "label_key_digest": self.label_key_digest,
            "ceremony_digest": self.ceremony_digest,
            "leak_digest": self.leak_digest,
            "broken_rules": list(self.broken_rules),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "campaign": fields.octets("campaign", CAMPAIGN_BYTES),
            "owner_sealing_key": fields.octets("owner_sealing_key", KEY_BYTES),
            "setup_party": printable(fields, "setup_party", MAX_SETUP_PARTY),
            "frames": fields.integer("frames", 1, 1 << 16),
            "weights_commitment": fields.octets("weights_commitment", G1_BYTES),
            **{name: fields.octets(name, DIGEST_BYTES) for name in _DIGESTS},
            "class_names": tuple(fields.sequence("class_names", MAX_CLASS_NAMES)),
            "logit_scale": decode_scale(fields),
            "weights_digest": fields.octets("weights_digest", max_length=DIGEST_BYTES),
            "label_key_digest": fields.octets("label_key_digest", max_length=DIGEST_BYTES),
            "ceremony_digest": fields.octets("ceremony_digest", max_length=DIGEST_BYTES),
            "leak_digest": fields.octets("leak_digest", max_length=DIGEST_BYTES),
            "broken_rules": tuple(fields.sequence("broken_rules", len(RULES))),
        }
        for name in ("weights_digest", "label_key_digest", "ceremony_digest", "leak_digest"):
            if len(arguments[name]) not in (0, DIGEST_BYTES):
                raise DecodeError(f"{cls.FORMAT}: {name} has {DIGEST_BYTES} bytes or none")
        try:
            check_who_made_keys(arguments["setup_party"], arguments["ceremony_digest"])
            check_class_names(arguments["class_names"])
            check_broken_rules(arguments["broken_rules"])
        except ValueError as error:
            raise DecodeError(f"{cls.FORMAT}: {error}") from error
        return arguments
