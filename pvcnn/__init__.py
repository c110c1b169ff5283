"""Publicly verifiable testing of CNNs: encrypted frames, exact proofs, one aggregate.

    part = pvcnn.split(model, calibration_frames, cut=1, weights="committed")
    pk, vk = pvcnn.setup(part.public, frames=1)
    proof = pvcnn.prove(pk, part.public, features, context=b"")
    pvcnn.verify(vk, proof.statement, proof)
    srs = pvcnn.aggregation_setup(max_proofs=64)
    agg = pvcnn.aggregate(srs, vk, [proof, ...])
    pvcnn.verify_aggregate(srs.verifier, vk, [proof.statement, ...], agg)

Names are loaded when they are first used, so that verifying needs none of torch, ray, tenseal and
numba, and verifying a single proof no NumPy either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvcnn.aggregate.aggregator import aggregate as aggregate
    from pvcnn.aggregate.aggregator import aggregate_groups as aggregate_groups
    from pvcnn.aggregate.batch import verify_batch as verify_batch
    from pvcnn.aggregate.reference_string import aggregation_setup as aggregation_setup
    from pvcnn.aggregate.schemes import decode_aggregate as decode_aggregate
    from pvcnn.aggregate.verifier import verify_aggregate as verify_aggregate
    from pvcnn.aggregate.verifier import verify_aggregate_groups as verify_aggregate_groups
    from pvcnn.errors import CampaignError as CampaignError
    from pvcnn.errors import CutRefused as CutRefused
    from pvcnn.errors import DecodeError as DecodeError
    from pvcnn.errors import DependencyMissing as DependencyMissing
    from pvcnn.errors import ParameterError as ParameterError
    from pvcnn.errors import PvcnnError as PvcnnError
    from pvcnn.errors import RangeError as RangeError
    from pvcnn.errors import SubmissionRefused as SubmissionRefused
    from pvcnn.errors import UnsupportedLayer as UnsupportedLayer
    from pvcnn.errors import VerificationError as VerificationError
    from pvcnn.partition.split import split as split
    from pvcnn.qmp.api import prove as prove
    from pvcnn.qmp.api import setup as setup
    from pvcnn.qmp.commitments import label_key as label_key
    from pvcnn.qmp.labels import check_label_key as check_label_key
    from pvcnn.qmp.labels import commit_labels as commit_labels
    from pvcnn.qmp.verifier import verify as verify

_OPERATIONS = {
    "split": "pvcnn.partition.split",
    "setup": "pvcnn.qmp.api",
    "label_key": "pvcnn.qmp.commitments",
    "check_label_key": "pvcnn.qmp.labels",
    "commit_labels": "pvcnn.qmp.labels",
    "prove": "pvcnn.qmp.api",
    "verify": "pvcnn.qmp.verifier",
    "aggregation_setup": "pvcnn.aggregate.reference_string",
    "aggregate_groups": "pvcnn.aggregate.aggregator",
    "verify_aggregate": "pvcnn.aggregate.verifier",
    "verify_aggregate_groups": "pvcnn.aggregate.verifier",
    "decode_aggregate": "pvcnn.aggregate.schemes",
    "verify_batch": "pvcnn.aggregate.batch",
}
_ERRORS = (
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
_LOCATIONS = _OPERATIONS | dict.fromkeys(_ERRORS, "pvcnn.errors")
#: Packages of the extra `prover`, which some operations need and verification does not.
_OPTIONAL = ("torch", "ray", "tenseal", "numba", "llvmlite")


def __getattr__(name: str) -> Any:
    if name == "aggregate":  # the subpackage, which is callable
        return import_module("pvcnn.aggregate")
    if name not in _LOCATIONS:
        raise AttributeError(f"module 'pvcnn' has no attribute {name!r}")
    try:
        value = getattr(import_module(_LOCATIONS[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OPTIONAL:
            raise
        from pvcnn.errors import DependencyMissing

        remedy = "pip install 'pvcnn[prover]'"
        raise DependencyMissing(f"pvcnn.{name} needs {error.name}: {remedy}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LOCATIONS, "aggregate"})
