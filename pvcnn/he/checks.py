"""Ciphertexts as bytes: what testers send up and what the owner sends down.

Bytes from outside are decoded into residues, compared with the plan and only then handed to SEAL, in a
file whose metadata come from the plan (`pvcnn.he.streams`). DecodeError means that the bytes are not
an artefact of this kind; SubmissionRefused, that it is one which this plan does not take. Neither
says anything about values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.he.encryption_plan import MAX_CHANNELS, EncryptionPlan
from pvcnn.he.residues import Residues, pack, packed_bytes, unpack

FORMAT = "pvcnn-ciphertext"
VERSION = 1

#: A ciphertext that has been relinearised, as all have that travel, is a pair.
COMPONENTS = 2
#: Data primes that are left when features are decrypted: the first.
ANSWER_PRIMES = 1
_MAX_COMPONENTS = 16
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True)
class Content:
    """What a message must hold under a plan: so many ciphertexts with so many data primes left."""

    name: str
    ciphertexts: int
    primes: int


def frame_content(plan: EncryptionPlan) -> Content:
    """What the plan's layout takes, at the top of the chain."""
    return Content("frame", plan.input_layout.ciphertexts, len(plan.data_moduli))


def features_content(plan: EncryptionPlan) -> Content:
    """One ciphertext, with every prime but the first used up."""
    return Content("features", 1, ANSWER_PRIMES)


def message_bytes(plan: EncryptionPlan, content: Content) -> int:
    """An upper bound, and a close one, on an honest message."""
    length = packed_bytes(plan.degree, plan.data_moduli[: content.primes])
    return content.ciphertexts * COMPONENTS * (length + 16) + _ENVELOPE_BYTES


def write_ciphertexts(
    plan: EncryptionPlan, content: Content, parms_id: list[int], scale: float, ciphertexts: list[Residues]
) -> bytes:
    """The message with these ciphertexts, each (components, primes, degree)."""
    moduli = plan.data_moduli[: content.primes]
    return encode(
        FORMAT,
        VERSION,
        {
            "plan": plan.digest,
            "content": content.name,
            "parameters": struct.pack("<4Q", *parms_id),
            "scale": struct.pack(">d", scale),
            "ciphertexts": [[pack(component, moduli) for component in c] for c in ciphertexts],
        },
    )


def read_ciphertexts(
    plan: EncryptionPlan, content: Content, parms_id: list[int], data: bytes
) -> list[Residues]:
    """The residues of the message's ciphertexts, each (2, primes, degree).

    Refused are another plan or content, a parameter identifier that is not SEAL's for this level, a
    scale that is not bit for bit the plan's, any number of components but two, and transparent
    ciphertexts: those whose second component vanishes modulo a prime show their message to anyone.
    """
    moduli = plan.data_moduli[: content.primes]
    # Twice the honest size still reaches the checks below, which give better reasons.
    fields = decode(data, FORMAT, VERSION, 2 * message_bytes(plan, content))
    digest = fields.octets("plan", 32)
    name = fields.text("content")
    parameters = fields.octets("parameters", 32)
    scale = fields.octets("scale", 8)
    messages = fields.sequence("ciphertexts", MAX_CHANNELS)
    fields.finish()
    for message in messages:
        if not isinstance(message, list) or len(message) > _MAX_COMPONENTS:
            raise DecodeError(f"{FORMAT}: a ciphertext is a list of at most {_MAX_COMPONENTS} components")
        if not all(isinstance(component, bytes) for component in message):
            raise DecodeError(f"{FORMAT}: a component is a byte string")
    _refuse(digest != plan.digest, "the ciphertext was made for another encryption plan")
    _refuse(name != content.name, f"the ciphertext does not hold {content.name}")
    _refuse(parameters != struct.pack("<4Q", *parms_id), "the ciphertext is at another level or key")
    _refuse(scale != struct.pack(">d", plan.scale), "the ciphertext has another scale than the plan's")
    _refuse(
        len(messages) != content.ciphertexts,
        f"{content.ciphertexts} ciphertexts are expected, not {len(messages)}",
    )
    for message in messages:
        _refuse(
            len(message) != COMPONENTS,
            f"a ciphertext has {COMPONENTS} components here, not {len(message)}",
        )
    ciphertexts = [
        np.stack([unpack(component, plan.degree, moduli, FORMAT) for component in message])
        for message in messages
    ]
    for ciphertext in ciphertexts:
        _refuse(is_transparent(ciphertext), "the ciphertext is transparent: it encrypts nothing")
    return ciphertexts


def is_transparent(ciphertext: Residues) -> bool:
    """Whether the second component is zero modulo any prime: what it adds to the key is then nothing."""
    return not ciphertext[1].any(axis=-1).all()


def _refuse(condition: bool, reason: str) -> None:
    if condition:
        raise SubmissionRefused(reason)
