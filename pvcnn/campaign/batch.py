"""A batch: the encrypted frames of one submission, or their encrypted features, in their order.

All of a submission's frames are in one sealed blob, are answered by one, and share one proof, so none of
them can be left out, moved or exchanged without the whole submission's being another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from pvcnn.campaign.mail import MAX_BLOB_BYTES
from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError, SubmissionRefused
from pvcnn.he.checks import frame_content, message_bytes
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.qmp.keys import MAX_FRAMES

FORMAT = "pvcnn-batch"
VERSION = 1
#: Of the envelope, and of HPKE around it.
_ENVELOPE_BYTES = 1024


def write_batch(messages: Sequence[bytes]) -> bytes:
    """The batch of these `pvcnn-ciphertext`s, of a frame each."""
    return encode(FORMAT, VERSION, {"messages": list(messages)})


def read_batch(data: bytes, frames: int) -> list[bytes]:
    """The messages, `frames` of them, which are not decoded here.

    Raises DecodeError for what is no batch, and SubmissionRefused for another number of messages and for
    two that are equal: a frame that counts twice.
    """
    messages = read_messages(data)
    if len(messages) != frames:
        raise SubmissionRefused(f"a submission has {frames} frames here, not {len(messages)}")
    if len(set(messages)) != len(messages):
        raise SubmissionRefused("a ciphertext occurs twice in the submission")
    return messages


def read_messages(data: bytes) -> list[bytes]:
    """The messages, however many there are. Raises DecodeError for what is no batch."""
    fields = decode(data, FORMAT, VERSION, MAX_BLOB_BYTES)
    messages = fields.sequence("messages", MAX_FRAMES)
    fields.finish()
    if not all(isinstance(message, bytes) for message in messages):
        raise DecodeError(f"{FORMAT}: messages are byte strings")
    return messages


def most_frames(plan: EncryptionPlan) -> int:
    """How many encrypted frames fit into one sealed blob."""
    return (MAX_BLOB_BYTES - _ENVELOPE_BYTES) // message_bytes(plan, frame_content(plan))
