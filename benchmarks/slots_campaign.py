"""What frames in slots take in a campaign: a tester's `encrypt`, an owner's `infer`, a cluster's decryption.

    python benchmarks/slots_campaign.py [--frames 64] [--places K] [--processes 1] [--single] [--json]

The block and frames of benchmarks/packings.py, in a campaign of one frame a submission, up to what the
cluster does before it proves. Wall time; keys are opened, and processes started, within it.
--single: the same with every frame by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pvcnn.algebra.points import random_scalar
from pvcnn.campaign.cluster import make_keys
from pvcnn.campaign.cluster_secrets import ClusterSecrets
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.prover import ProverKeys
from pvcnn.campaign.setup_party import run_setup
from pvcnn.campaign.submission import Proceedings
from pvcnn.campaign.tester import TesterRole
from pvcnn.errors import SubmissionRefused
from pvcnn.program.layers import Flatten, Linear, Requantise, Sign
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights

sys.path.insert(0, str(Path(__file__).parent))
from packings import random_block

#: Features of random filters are larger than those that a cut would leave: most of them are in this range.
_LOW, _HIGH = -1024, 1023


def public_part(shape: tuple[int, ...]) -> PublicPart:
    """As small as there can be: nothing is proved here."""
    relu = Table(-512, np.clip(np.arange(-512, 512), 0, 127))
    layers = (
        Flatten("flatten"),
        Linear("first", int(np.prod(shape)), 1, weight_bits=2, bias_bits=12),
        Requantise("activation", 12, relu),
        Linear("second", 1, 1, weight_bits=6, bias_bits=14),
        Sign("decision"),
    )
    program = Program.chain(shape, _LOW, _HIGH, layers)
    weight = {"first": np.ones((1, int(np.prod(shape))), np.int64), "second": np.ones((1, 1), np.int64)}
    bias = {"first": np.zeros(1, np.int64), "second": np.zeros(1, np.int64)}
    return PublicPart(program, Weights(program, weight, bias, random_scalar()))


def measure(root: Path, count: int, places: int | None, processes: int) -> dict[str, float]:
    """Milliseconds and bytes a frame. places: of a batch; None for frames by themselves."""
    private, frames = random_block(count)
    folder = CampaignFolder.create(root)
    owner = OwnerRole.create(folder)
    owner.publish_split(private, public_part(private.output_shape), frames_in_slots=places)
    card = make_keys(folder)
    run_setup(folder, count)
    owner.publish_manifest()
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        found[name] = 1e3 * (time.perf_counter() - start) / count

    def encrypt() -> None:
        tester = TesterRole.create(folder, "tester")
        if places is None:
            for frame in frames:
                tester.encrypt(frame, None, card.fingerprint)
        else:
            tester.encrypt_frames(list(frames), None, card.fingerprint, processes=processes)

    def infer() -> None:
        role = OwnerRole.open(root, processes)
        role.open_evaluator()
        for index in range(count):
            assert not role.infer(index).refused

    def decrypt() -> None:
        keys = ProverKeys.open(root, ClusterSecrets.load_from(folder.private("cluster")))
        proceedings = Proceedings.read(folder.public)
        for index in range(count):
            submission = proceedings.submission(folder.public, index)
            try:
                keys.answers.read(folder.mail("cluster"), proceedings, submission)
            except SubmissionRefused:
                continue  # a feature beyond the range

    timed("encrypt", encrypt)
    timed("admit", lambda: OwnerRole.open(root).close_registry())
    timed("infer", infer)
    timed("decrypt", decrypt)
    for name, role in (("up", "owner"), ("down", "cluster")):
        found[name] = sum(path.stat().st_size for path in folder.mail(role).iterdir()) / count
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=64, help="of the one tester")
    parser.add_argument("--places", type=int, help="of a batch; by default all frames are one")
    parser.add_argument("--processes", type=int, default=1, help="of tester and owner each")
    parser.add_argument("--single", action="store_true", help="every frame by itself")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    places = None if options.single else options.places or options.frames
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch) / "warm", 1, None if options.single else 1, 1)  # compiles the kernels
        found = measure(Path(scratch) / "campaign", options.frames, places, options.processes)
    for name, value in found.items():
        unit = "kB" if name in ("up", "down") else "ms"
        print(f"{name:8} {value / (1e3 if unit == 'kB' else 1):8.1f} {unit} a frame", file=sys.stderr)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
