"""The setup party: makes proving key, verification key and aggregation strings for one program.

Whoever runs this could keep the secrets and forge every proof, so the manifest names the party; it
is never the cluster, which would then prove to itself.
"""

from __future__ import annotations

from pvcnn.aggregate.reference_string import aggregation_setup
from pvcnn.campaign.batch import most_frames
from pvcnn.campaign.folder import (
    AGGREGATION_VERIFIER_KEY,
    CEREMONY,
    ENCRYPTION_PLAN,
    PROGRAM,
    WEIGHTS,
    CampaignFolder,
)
from pvcnn.errors import CampaignError
from pvcnn.files import write_atomically
from pvcnn.he.plans import FramePlan, read_plan
from pvcnn.program.program import Program
from pvcnn.program.published import decode_published
from pvcnn.qmp import setup
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.keys import MAX_FRAMES
from pvcnn.qmp.statement import MAX_OUTPUTS

DEFAULT_MAX_PROOFS = 64


def run_setup(folder: CampaignFolder, max_proofs: int = DEFAULT_MAX_PROOFS, frames: int = 1) -> None:
    """Writes DIR/keys and the aggregation verifier key, for proofs of at most `max_proofs` submissions.

    Weights that the owner published become coefficients of the circuit; whether it meant to publish them, the
    owner checks before it signs. A submission has `frames` frames, exactly, which share one proof. Raises
    ValueError if a statement or a sealed blob cannot hold so many, and CampaignError if `split` has not run,
    or if keys are there already.
    """
    program = Program.from_bytes(folder.public.read(PROGRAM))
    check_frames(frames, program, read_plan(folder.public.read(ENCRYPTION_PLAN)))
    refuse_second_keys(folder)
    if folder.public.file(CEREMONY).exists():
        raise CampaignError(
            f"{folder.public.file(CEREMONY)} is a ceremony's record: finish `pvcnn setup --ceremony`, "
            "or remove it to make keys here"
        )
    path = folder.public.file(WEIGHTS)
    published = decode_published(program, folder.public.read(WEIGHTS)) if path.exists() else None
    circuit = compile_program(program, frames, published=published)
    proving_key, circuit_key = setup.generate(
        circuit.system, program.digest(), frames, circuit.weights_digest
    )
    proving_key.save(folder.proving_key)
    aggregation_key = aggregation_setup(max_proofs)
    write_atomically(folder.aggregation_key, aggregation_key.to_bytes())
    write_atomically(folder.public.file(AGGREGATION_VERIFIER_KEY), aggregation_key.verifier.to_bytes())
    write_atomically(folder.bare_verification_key, circuit_key.to_bytes())


def refuse_second_keys(folder: CampaignFolder) -> None:
    """Raises CampaignError if a setup has left keys."""
    if folder.bare_verification_key.exists():
        raise CampaignError(f"{folder.keys} holds keys already: the setup runs once in a campaign")


def check_frames(frames: int, program: Program, plan: FramePlan) -> None:
    """Raises ValueError unless statements and sealed blobs can hold `frames` frames of a submission."""
    most = min(MAX_FRAMES, most_frames(plan))
    if program.outputs_of(most) > MAX_OUTPUTS:
        most = MAX_OUTPUTS // program.outputs_of(1)
    if not 1 <= frames <= most:
        raise ValueError(f"a submission of this campaign can have 1 to {most} frames, not {frames}")
