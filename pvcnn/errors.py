"""The exceptions that pvcnn raises on purpose.

PvcnnError
├── DecodeError            bytes that are not a well-formed artefact
├── VerificationError      a well-formed artefact that proves nothing
├── UnsupportedLayer       a layer that pvcnn cannot represent
├── CutRefused             a cut that breaks a rule of docs/threat-model.md
├── RangeError             a value outside the range that the program states for it
├── ParameterError         encryption parameters that are insecure or too small
├── SubmissionRefused      a ciphertext, registration or answer that a role will not process
├── CampaignError          a campaign folder that lacks a file or was built in another order
└── DependencyMissing      an optional package that this operation needs
"""

from __future__ import annotations


class PvcnnError(Exception):
    """Base of every error that pvcnn raises on purpose."""


class DecodeError(PvcnnError, ValueError):
    """Bytes are not the canonical encoding of the artefact that was asked for."""


class VerificationError(PvcnnError):
    """A signature, digest, commitment, proof or aggregate does not verify."""


class UnsupportedLayer(PvcnnError, TypeError):  # noqa: N818 - a name that scripts use
    """A layer of the model cannot be represented; the message names it."""


class CutRefused(PvcnnError, ValueError):  # noqa: N818 - reads as a sentence
    """The private part would hide nothing; the message names the rule."""


class RangeError(PvcnnError, ValueError):
    """A value lies outside its stated range; the message names layer, position and value.

    The message contains secrets (features or weights): it belongs in the log of the role that
    holds them and nowhere else.
    """


class ParameterError(PvcnnError, ValueError):
    """Encryption parameters are insecure, or a layer does not fit them."""


class SubmissionRefused(PvcnnError):  # noqa: N818 - reads as a sentence
    """A role refuses a submission or an answer; the message is the reason that is published.

    `details` may contain secrets and belongs in the log of the role that refuses, nowhere else.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.details = details


class CampaignError(PvcnnError):
    """A campaign folder is incomplete or inconsistent; the message names file and remedy."""


class DependencyMissing(PvcnnError, ImportError):  # noqa: N818 - reads as a sentence
    """An optional package is not installed; the message names it and the extra that has it."""
