"""Keys that a ceremony made, for one campaign: nobody in it has to run a setup.

The whole transcript is verified before anything is taken over, as `pvcnn ceremony verify` does it.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.campaign.folder import (
    AGGREGATION_VERIFIER_KEY,
    CEREMONY,
    ENCRYPTION_PLAN,
    PROGRAM,
    WEIGHTS,
    CampaignFolder,
)
from pvcnn.campaign.setup_party import check_frames, refuse_second_keys
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.description import CircuitDescription
from pvcnn.ceremony.finished import finished_record, key_digests
from pvcnn.ceremony.progress import Progress
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.errors import CampaignError, VerificationError
from pvcnn.files import share, write_atomically
from pvcnn.he.plans import read_plan
from pvcnn.program.program import Program
from pvcnn.program.published import decode_published


def adopt_keys(
    folder: CampaignFolder, ceremony: Path, frames: int = 1, progress: Progress | None = None
) -> CeremonyRecord:
    """Writes DIR/keys, the aggregation verifier key and the record, all from a finished ceremony's folder.

    frames: in a submission, exactly. Raises what `verified_record` does; ValueError if a sealed blob cannot
    hold so many; CampaignError if `split` has not run, or if keys are there already.
    """
    program = Program.from_bytes(folder.public.read(PROGRAM))
    check_frames(frames, program, read_plan(folder.public.read(ENCRYPTION_PLAN)))
    refuse_second_keys(folder)
    record = verified_record(folder, ceremony, frames, progress)
    keys = CircuitCeremony.open(ceremony).folder.keys
    for target in (
        folder.proving_key,
        folder.aggregation_key,
        folder.public.file(AGGREGATION_VERIFIER_KEY),
    ):
        _take(keys, target)
    write_atomically(folder.public.file(CEREMONY), record.to_bytes())
    _take(keys, folder.bare_verification_key)  # last: where it lies, nothing else is missing
    return record


def check_adopted(
    folder: CampaignFolder, ceremony: Path, frames: int = 1, progress: Progress | None = None
) -> CeremonyRecord:
    """For an owner whose keys somebody else has put there: they are of the ceremony in this folder.

    Raises what `verified_record` does, VerificationError for the record of another ceremony, and
    CampaignError if there is none. That the keys are the record's is checked before the manifest is signed.
    """
    published = folder.public.read(CEREMONY)
    record = verified_record(folder, ceremony, frames, progress)
    if published != record.to_bytes():
        raise VerificationError(f"public/{CEREMONY.name} is not the record of the ceremony in {ceremony}")
    return record


def verified_record(
    folder: CampaignFolder, ceremony: Path, frames: int, progress: Progress | None = None
) -> CeremonyRecord:
    """The record of a finished ceremony for this campaign, its transcript and keys verified.

    Raises VerificationError if it was for another program, number of frames, weights or segments, or does not
    hold; CampaignError if there is no ceremony or `finalize` has not run; DecodeError for malformed files.
    """
    circuit = CircuitCeremony.open(ceremony)
    _check_purpose(folder, circuit.description, frames)
    if circuit.written_record() is None:
        raise CampaignError(f"{ceremony} has no keys yet: run `pvcnn ceremony finalize` on it")
    record = finished_record(circuit, circuit.verify(progress))
    assert record is not None
    for name in key_digests(record):
        if not (circuit.folder.keys / name).is_file():
            raise CampaignError(
                f"{circuit.folder.keys / name} is missing: run `pvcnn ceremony finalize` again"
            )
    return record


def _take(keys: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # left by an interruption
    share(keys / target.name, target)


def _check_purpose(folder: CampaignFolder, description: CircuitDescription, frames: int) -> None:
    """Raises VerificationError unless the ceremony was for this campaign's circuit: cheap, so it is first."""
    program = Program.from_bytes(folder.public.read(PROGRAM))
    if description.program_digest != program.digest():
        raise VerificationError(
            f"the ceremony was for program {description.program_digest.hex()}, and this campaign has "
            f"{program.digest().hex()}: hold one for its public/{PROGRAM.name}"
        )
    if description.frames != frames:
        raise VerificationError(
            f"the ceremony was for submissions of {description.frames} frames, not {frames}: set up with "
            f"--batch {description.frames}, or hold one with --frames {frames}"
        )
    path = folder.public.file(WEIGHTS)
    weights = (
        decode_published(program, folder.public.read(WEIGHTS)).published_digest() if path.exists() else b""
    )
    if description.weights_digest != weights:
        raise VerificationError(
            f"the ceremony was for {_named(description.weights_digest)}, and this campaign has "
            f"{_named(weights)}: hold one {'with' if weights else 'without'} --published-weights"
        )
    if ("lab" in description.committed) != (program.label_classes is not None):
        raise VerificationError(
            "the ceremony was for a circuit with the segments "
            f"{', '.join(description.visible)}, and that of this program takes labels or does not otherwise: "
            f"hold one for its public/{PROGRAM.name}"
        )


def _named(weights: bytes) -> str:
    return f"published weights {weights.hex()}" if weights else "committed weights"
