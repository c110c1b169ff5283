"""How long scripts/verify_aggregate.py's arithmetic, which is Python's own, takes for one aggregate.

    python benchmarks/second_verifier.py [--proofs 64]

Makes simulated proofs, writes their aggregates by both schemes as test vectors, and times a process that runs
scripts/check_vectors.py on one of them: the part of the second verifier that grows with the number of proofs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pvcnn.aggregate.aggregator import aggregate
from pvcnn.aggregate.reference_string import AggregationKey, aggregation_setup
from pvcnn.aggregate.schemes import Scheme
from pvcnn.bench.measure import machine
from pvcnn.bench.simulated_proofs import SimulatedCircuit
from pvcnn.qmp.proof import Proof

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "check_vectors.py"


def corpus(circuit: SimulatedCircuit, key: AggregationKey, proofs: list[Proof], scheme: Scheme) -> Any:
    """One valid vector, as docs/formats.md has them."""
    statements = {f"statement {i}": proof.statement.to_bytes() for i, proof in enumerate(proofs)}
    made = {
        "string": key.verifier.to_bytes(),
        "key": circuit.vk.to_bytes(),
        "aggregate": aggregate(key, circuit.vk, proofs, scheme=scheme).to_bytes(),
        **statements,
    }
    vector = {
        "name": scheme,
        "verdict": "valid",
        "reference_string": "string",
        "groups": [{"key": "key", "statements": list(statements)}],
        "aggregate": "aggregate",
    }
    return {"artefacts": {name: data.hex() for name, data in made.items()}, "vectors": [vector]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--proofs", type=int, default=64)
    proofs = parser.parse_args().proofs
    circuit = SimulatedCircuit(seed=1, outputs=1)
    made = [circuit.prove(i.to_bytes(32, "little"), (i & 1,)) for i in range(proofs)]
    key = aggregation_setup(proofs)
    print(machine())
    schemes: tuple[Scheme, ...] = ("packed", "snarkpack")
    for scheme in schemes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vectors.json"
            path.write_text(json.dumps(corpus(circuit, key, made, scheme)))
            start = time.perf_counter()
            subprocess.run([sys.executable, str(SCRIPT), str(path)], check=True)
        print(f"{scheme}: {proofs} proofs in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
