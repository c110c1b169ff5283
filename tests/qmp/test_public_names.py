"""The names that scripts call: what they do, and which packages they need to be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pvcnn
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proving_key import ProvingKey
from tests.qmp.programs import Case, small_case

OPERATIONS = (
    *("split", "setup", "label_key", "check_label_key", "commit_labels", "prove", "verify"),
    *("aggregation_setup", "aggregate", "verify_aggregate", "verify_batch", "decode_aggregate"),
    *("aggregate_groups", "verify_aggregate_groups"),
)
ERRORS = (
    "CampaignError",
    "CutRefused",
    "DecodeError",
    "DependencyMissing",
    "ParameterError",
    "PvcnnError",
    "RangeError",
    "SubmissionRefused",
    "UnsupportedLayer",
    "VerificationError",
)
PROVER_PACKAGES = ("torch", "ray", "tenseal", "numba", "llvmlite", "scipy")
#: Everything but what a single proof needs: py_arkworks_bls12381 and cbor2.
OTHER_PACKAGES = (*PROVER_PACKAGES, "numpy", "safetensors", "cryptography", "click", "rich", "py_ecc")


def run_without(packages: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter in which `packages` cannot be imported."""
    blocker = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {packages!r}:
            raise ModuleNotFoundError('blocked: ' + name, name=name)
sys.meta_path.insert(0, Blocker())
"""
    return subprocess.run([sys.executable, "-c", blocker + code], capture_output=True, text=True, check=False)


class TestNames:
    def test_are_these_and_no_others(self) -> None:
        public = {name for name in dir(pvcnn) if not name.startswith("_")}
        implementation = {"annotations", "import_module", "TYPE_CHECKING", "Any"}
        parts = {path.stem for path in Path(pvcnn.__file__).parent.iterdir()}
        assert public - implementation - parts == {*OPERATIONS, *ERRORS} - {"aggregate"}

    @pytest.mark.parametrize("name", [*OPERATIONS, *ERRORS])
    def test_exist(self, name: str) -> None:
        assert callable(getattr(pvcnn, name))
        assert name in dir(pvcnn)

    def test_others_do_not(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'forge'"):
            _ = pvcnn.forge

    @pytest.mark.parametrize(
        "before", ["", "import pvcnn.aggregate.verifier\n", "import pvcnn.qmp.verifier\n"]
    )
    def test_aggregate_is_callable_whatever_was_imported_before(self, before: str) -> None:
        result = run_without((), before + "import pvcnn\nassert callable(pvcnn.aggregate)")
        assert result.returncode == 0, result.stderr


class TestImports:
    def test_import_loads_none_of_the_heavy_packages(self) -> None:
        code = f"import pvcnn, sys; assert not set({OTHER_PACKAGES!r}) & set(sys.modules)"
        result = run_without((), code)
        assert result.returncode == 0, result.stderr

    def test_missing_package_is_named_with_its_remedy(self) -> None:
        code = (
            "import pvcnn\ntry:\n    pvcnn.setup\nexcept pvcnn.DependencyMissing as error:\n    print(error)"
        )
        result = run_without(PROVER_PACKAGES, code)
        assert result.returncode == 0, result.stderr
        assert "pvcnn[prover]" in result.stdout

    def test_a_proof_verifies_with_two_packages(self, made: Made, tmp_path: Path) -> None:
        proof = pvcnn.prove(made.proving_key, made.part, made.case.features, b"c")
        (tmp_path / "key").write_bytes(made.key.to_bytes())
        (tmp_path / "statement").write_bytes(proof.statement.to_bytes())
        (tmp_path / "proof").write_bytes(proof.to_bytes())
        code = f"""
from pathlib import Path
import pvcnn
from pvcnn.qmp.keys import VerificationKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.statement import Statement
folder = Path({str(tmp_path)!r})
key = VerificationKey.from_bytes((folder / "key").read_bytes())
statement = Statement.from_bytes((folder / "statement").read_bytes())
proof = Proof.from_bytes((folder / "proof").read_bytes())
pvcnn.verify(key, statement, proof)
try:
    pvcnn.verify(key, Statement(statement.features_commitment, (1 - statement.outputs[0],), b"c"), proof)
except pvcnn.VerificationError:
    print("refused")
"""
        result = run_without(OTHER_PACKAGES, code)
        assert result.returncode == 0, result.stderr
        assert result.stdout == "refused\n"


class Made:
    """Keys for single frames of the small program."""

    def __init__(self) -> None:
        self.case: Case = small_case(frames=1)
        self.part = PublicPart(self.case.program, self.case.weights)
        self.proving_key: ProvingKey
        self.key: VerificationKey
        self.proving_key, self.key = pvcnn.setup(self.part)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


class TestOperations:
    def test_setup_prove_verify(self, made: Made) -> None:
        proof = pvcnn.prove(made.proving_key, made.part, made.case.features, context=b"here")
        pvcnn.verify(made.key, proof.statement, proof)
        assert proof.statement.outputs == tuple(made.part(made.case.features).tolist())
        assert proof.statement.context == b"here"
        assert made.key.program_digest == made.case.program.digest()
        assert made.key.frames == made.proving_key.frames == 1

    def test_default_context_is_empty(self, made: Made) -> None:
        assert pvcnn.prove(made.proving_key, made.part, made.case.features).statement.context == b""

    def test_batches(self) -> None:
        case = small_case(frames=3)
        part = PublicPart(case.program, case.weights)
        proving_key, key = pvcnn.setup(part, frames=3)
        proof = pvcnn.prove(proving_key, part, case.features)
        pvcnn.verify(key, proof.statement, proof)
        assert proof.statement.outputs == tuple(part(case.features).tolist())
        for length in (1, 2, 4):
            features = np.concatenate([case.features, case.features])[:length]
            with pytest.raises(ValueError, match="batches of 3 frames"):
                pvcnn.prove(proving_key, part, features)

    @pytest.mark.parametrize("frames", [0, -1])
    def test_batches_have_frames(self, made: Made, frames: int) -> None:
        with pytest.raises(ValueError, match="frame"):
            pvcnn.setup(made.part, frames=frames)

    def features(self, made: Made) -> dict[str, Any]:
        honest = made.case.features
        return {
            "no frame": honest[:0],
            "two frames": np.concatenate([honest, honest]),
            "no batch axis": honest[0],
            "flat": honest.reshape(1, -1),
            "floats": honest.astype(np.float64),
            "booleans": honest.astype(np.bool_),
            "a number": np.int64(3),
            "too large": np.full(honest.shape, 1 << 63, np.uint64),
            "out of range": honest + 1000,
        }

    @pytest.mark.parametrize(
        "name",
        [
            "no frame",
            "two frames",
            "no batch axis",
            "flat",
            "floats",
            "booleans",
            "a number",
            "too large",
            "out of range",
        ],
    )
    def test_wrong_features(self, made: Made, name: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
            pvcnn.prove(made.proving_key, made.part, self.features(made)[name])

    def test_features_out_of_range_name_the_layer(self, made: Made) -> None:
        with pytest.raises(pvcnn.RangeError):
            pvcnn.prove(made.proving_key, made.part, self.features(made)["out of range"])

    def test_narrow_integers_are_welcome(self, made: Made) -> None:
        proof = pvcnn.prove(made.proving_key, made.part, made.case.features.astype(np.int8))
        pvcnn.verify(made.key, proof.statement, proof)

    def test_key_of_another_program(self, made: Made) -> None:
        program = made.case.program
        other = Program.chain(program.input_shape, program.input_low - 1, program.input_high, program.layers)
        weights = type(made.case.weights)(
            other, made.case.weights.weight, made.case.weights.bias, made.case.weights.blinding
        )
        with pytest.raises(ValueError, match="another program"):
            pvcnn.prove(made.proving_key, PublicPart(other, weights), made.case.features)

    def test_context_of_more_than_64_bytes(self, made: Made) -> None:
        pvcnn.prove(made.proving_key, made.part, made.case.features, bytes(64))
        with pytest.raises(ValueError, match="context"):
            pvcnn.prove(made.proving_key, made.part, made.case.features, bytes(65))
