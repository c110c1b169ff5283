"""The context that ties a proof to one submission of one campaign (docs/protocol.md, eq. (20))."""

from __future__ import annotations

from pvcnn.algebra.transcript import digest


def submission_context(
    campaign: bytes,
    manifest_digest: bytes,
    registry_digest: bytes,
    index: int,
    tester_key: bytes,
    upload_digest: bytes,
    answer_digest: bytes,
    features_digest: bytes,
    frames: int,
) -> bytes:
    """32 bytes that the proof's challenges depend on.

    A proof made for another submission, tester, model, registry or campaign has another context,
    hence other challenges, and does not verify under this one.
    """
    return digest(
        "pvcnn/context",
        campaign,
        manifest_digest,
        registry_digest,
        index.to_bytes(8, "little"),
        tester_key,
        upload_digest,
        answer_digest,
        features_digest,
        frames.to_bytes(8, "little"),
    )
