"""The setup party: makes proving key, verification key and aggregation strings for one program.

Whoever runs this could keep the secrets and forge every proof, so the manifest names the party; it
is never the cluster, which would then prove to itself.
"""

from __future__ import annotations

from pvcnn.aggregate.reference_string import aggregation_setup
from pvcnn.campaign.folder import AGGREGATION_VERIFIER_KEY, PROGRAM, CampaignFolder
from pvcnn.errors import CampaignError
from pvcnn.files import write_atomically
from pvcnn.program.program import Program
from pvcnn.qmp import setup
from pvcnn.qmp.circuit import compile_program

#: One frame is one submission is one proof.
FRAMES = 1
DEFAULT_MAX_PROOFS = 64


def run_setup(folder: CampaignFolder, max_proofs: int = DEFAULT_MAX_PROOFS) -> None:
    """Writes DIR/keys and the aggregation verifier key, for proofs of at most `max_proofs` submissions.

    Raises CampaignError if `split` has not run, or if keys are there already.
    """
    program = Program.from_bytes(folder.public.read(PROGRAM))
    if folder.bare_verification_key.exists():
        raise CampaignError(f"{folder.keys} holds keys already: the setup runs once in a campaign")
    circuit = compile_program(program, FRAMES)
    proving_key, circuit_key = setup.generate(circuit.system, program.digest(), FRAMES)
    proving_key.save(folder.proving_key)
    aggregation_key = aggregation_setup(max_proofs)
    write_atomically(folder.aggregation_key, aggregation_key.to_bytes())
    write_atomically(folder.public.file(AGGREGATION_VERIFIER_KEY), aggregation_key.verifier.to_bytes())
    write_atomically(folder.bare_verification_key, circuit_key.to_bytes())
