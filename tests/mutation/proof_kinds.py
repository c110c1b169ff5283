"""Programs, weights, keys, proofs and aggregates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pvcnn.aggregate.reference_string import AggregationKey, AggregationVerifierKey
from pvcnn.aggregate.schemes import AnyAggregate, decode_aggregate
from pvcnn.aggregate.verifier import verify_aggregate_groups
from pvcnn.campaign.artefacts.commitments import private_commitment
from pvcnn.campaign.roles.owner_secrets import load_private_part
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.encoding import decode
from pvcnn.errors import VerificationError
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.private import PrivatePart
from pvcnn.program.program import Program
from pvcnn.program.published import decode_published, encode_published
from pvcnn.program.weights import Weights
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.keys import CircuitKey, VerificationKey
from pvcnn.qmp.labels import LabelKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.statement_list import decode_statements, encode_statements
from pvcnn.qmp.verifier import verify
from tests.mutation.campaign_kinds import public
from tests.mutation.samples import Samples, vectors
from tests.mutation.targets import Kind, Target


def _vector(name: str) -> tuple[AggregationVerifierKey, list[tuple[VerificationKey, list[Statement]]], bytes]:
    """A valid one of docs/vectors: reference string, groups, encoded aggregate."""
    artefacts, valid = vectors()
    vector = next(each for each in valid if each["name"] == name)
    groups = [
        (
            VerificationKey.from_bytes(artefacts[group["key"]]),
            [Statement.from_bytes(artefacts[each]) for each in group["statements"]],
        )
        for group in vector["groups"]
    ]
    string = AggregationVerifierKey.from_bytes(artefacts[vector["reference_string"]])
    return string, groups, artefacts[vector["aggregate"]]


def _aggregate(vector: str) -> Callable[[Samples, Path], Target]:
    def make(samples: Samples, scratch: Path) -> Target:
        string, groups, data = _vector(vector)

        def check(aggregate: AnyAggregate) -> None:
            verify_aggregate_groups(string, groups, aggregate)

        return Target(data, decode_aggregate, lambda made: bytes(made.to_bytes()), check)

    return make


def _claim(part: str) -> Callable[[Samples, Path], Target]:
    """A reference string, key or statement against the folded aggregate of three groups."""

    def make(samples: Samples, scratch: Path) -> Target:
        string, groups, data = _vector("folded, three groups")
        aggregate = decode_aggregate(data)
        ((key, statements), *rest) = groups

        def check(mutant: Any) -> None:
            if part == "string":
                verify_aggregate_groups(mutant, groups, aggregate)
            elif part == "key":
                verify_aggregate_groups(string, [(mutant, statements), *rest], aggregate)
            else:
                verify_aggregate_groups(string, [(key, [mutant]), *rest], aggregate)

        honest: Any = {"string": string, "key": key, "statement": statements[0]}[part]
        return Target(honest.to_bytes(), type(honest).from_bytes, lambda made: bytes(made.to_bytes()), check)

    return make


def _proof(samples: Samples, scratch: Path) -> Target:
    _, ((key, (statement, *_)), *_), data = _vector("packed, one proof")
    proof = decode(data, "pvcnn-packed-aggregate", 1, len(data)).octets("proofs")
    return Target(
        proof, Proof.from_bytes, Proof.to_bytes, lambda made: verify(key, statement, made), shape="octets"
    )


def _statement_list(samples: Samples, scratch: Path) -> Target:
    string, ((key, statements), *_), data = _vector("folded, two proofs with labels")
    contexts = [statement.context for statement in statements]
    aggregate = decode_aggregate(data)
    return Target(
        encode_statements(statements),
        lambda given: decode_statements(given, contexts),
        encode_statements,
        lambda made: verify_aggregate_groups(string, [(key, made)], aggregate),
    )


def _weights(samples: Samples, scratch: Path) -> Target:
    """D_w, which opens with the key's blinding, is in the manifest."""
    from pvcnn.qmp.commitments import commit_weights

    program = Program.from_bytes(samples.public("program.cbor"))
    key = ProvingKey.load(samples.campaign.root / "keys" / "proving_key.safetensors")
    committed = VerificationKey.from_bytes(samples.public("verification_key.cbor")).weights_commitment

    def check(weights: Weights) -> None:
        if commit_weights(key, weights.flat(), weights.blinding) != committed:
            raise VerificationError("other weights than the key commits to")

    data = (samples.campaign.private("owner") / "weights.cbor").read_bytes()
    return Target(data, lambda given: Weights.from_bytes(program, given), Weights.to_bytes, check)


def _private_part(samples: Samples, scratch: Path) -> Target:
    own = samples.campaign.private("owner")
    salt = decode((own / "opening.cbor").read_bytes(), "pvcnn-owner-opening", 1, 1024).octets("salt")
    honest = load_private_part(own).to_bytes()

    def check(part: PrivatePart) -> None:
        if private_commitment(salt, part.to_bytes()) != private_commitment(salt, honest):
            raise VerificationError("another private part than the manifest commits to")

    return Target(honest, PrivatePart.from_bytes, PrivatePart.to_bytes, check)


def _published(samples: Samples, scratch: Path) -> Target:
    folder = samples.count.public.path
    program = Program.from_bytes((folder / "program.cbor").read_bytes())
    kind = public(
        "",
        "weights.safetensors",
        lambda data: decode_published(program, data),
        encode_published,
        100,
        "count",
    )
    target = kind.make(samples, scratch)
    assert isinstance(target, Target)
    return Target(target.data, target.decode, target.encode, target.verify, shape="arrays")


def _circuit_key(samples: Samples, scratch: Path) -> Target:
    """Against the ceremony that made it."""
    keys = samples.circuit / "keys"
    record = CeremonyRecord.from_bytes((samples.circuit / "record.cbor").read_bytes())
    string = AggregationVerifierKey.from_bytes((keys / "aggregation_verifier_key.cbor").read_bytes())
    data = (keys / "bare_verification_key.cbor").read_bytes()
    return Target(data, CircuitKey.from_bytes, CircuitKey.to_bytes, lambda key: record.check(key, string))


def _proving_key(samples: Samples, scratch: Path) -> Target:
    data = (samples.circuit / "keys" / "proving_key.safetensors").read_bytes()
    named_by = (
        "manifest and ceremony; a proof made with points that are none of the circuit's does not verify"
    )
    return Target(
        data, ProvingKey.from_bytes, ProvingKey.to_bytes, check_proving_key, shape="arrays", named_by=named_by
    )


def _prepared_key(samples: Samples, scratch: Path) -> Target:
    """Opened as a prover opens it: a damaged one is passed over, and prepared anew in memory."""
    import hashlib

    from pvcnn.errors import DecodeError
    from pvcnn.qmp.prepared_key import PreparedKey, _layout, _mapped, open_proving_key, prepared_path

    path = samples.circuit / "keys" / "proving_key.safetensors"
    digest = hashlib.sha256(path.read_bytes()).digest()
    open_proving_key(path, digest, scratch)
    data = prepared_path(scratch).read_bytes()
    mutant = scratch / "mutant.safetensors"

    def read(given: bytes) -> PreparedKey:
        mutant.unlink(missing_ok=True)  # what is mapped keeps its own bytes
        mutant.write_bytes(given)
        try:
            return _mapped(path, _layout(digest), mutant)
        except OSError as error:
            raise DecodeError("not readable") from error

    inert = "a prover's own cache of values that are not checked again: a wrong proof does not verify"
    return Target(data, read, shape="arrays", inert=inert)


def _aggregation_key(samples: Samples, scratch: Path) -> Target:
    data = (samples.circuit / "keys" / "aggregation_key.bin").read_bytes()
    named_by = "manifest and ceremony; an aggregate made with points that are no powers does not verify"
    return Target(data, AggregationKey.from_bytes, AggregationKey.to_bytes, named_by=named_by)


def _shipped_leak(samples: Samples, scratch: Path) -> Target:
    from pvcnn.leak import shipped

    path = scratch / "figures.cbor"

    def read(data: bytes) -> LeakSummary:
        path.write_bytes(data)
        return shipped.shipped_figures(path)

    inert = "shipped with the package: any figures of the shipped weights are some"
    return Target(shipped.FIGURES.read_bytes(), read, inert=inert)


def _model(format_name: str) -> Callable[[Samples, Path], Target]:
    def make(samples: Samples, scratch: Path) -> Target:
        from pvcnn.models import store

        original, load = {
            store.DETECTOR_FORMAT: (store.WEIGHTS, store.load_detector),
            store.ONE_BLOCK_FORMAT: (store.ONE_BLOCK_WEIGHTS, store.load_one_block_detector),
            store.LENET_FORMAT: (store.LENET_WEIGHTS, store.load_lenet),
        }[format_name]

        def read(data: bytes) -> object:
            path = scratch / "model.safetensors"
            path.write_bytes(data)
            return load(path)

        inert = "a model's weights, shipped with the package: any finite numbers are some"
        return Target(original.read_bytes(), read, shape="arrays", inert=inert)

    return make


KINDS = [
    public("pvcnn-program", "program.cbor", Program.from_bytes, Program.to_bytes, 50),
    public(
        "pvcnn-verification-key",
        "verification_key.cbor",
        VerificationKey.from_bytes,
        VerificationKey.to_bytes,
        50,
    ),
    public(
        "pvcnn-aggregation-verifier-key",
        "aggregation_verifier_key.cbor",
        AggregationVerifierKey.from_bytes,
        AggregationVerifierKey.to_bytes,
        50,
    ),
    public("pvcnn-label-key", "label_key.cbor", LabelKey.from_bytes, LabelKey.to_bytes, 50, "count"),
    Kind("pvcnn-published-weights", ("pvcnn-published-weights",), _published),
    Kind("pvcnn-weights", ("pvcnn-weights",), _weights, 50),
    Kind("pvcnn-private-part", ("pvcnn-private-part",), _private_part),
    Kind("pvcnn-circuit-key", ("pvcnn-circuit-key",), _circuit_key, 50),
    Kind("pvcnn-proving-key", ("pvcnn-proving-key",), _proving_key, 20),
    Kind("pvcnn-prepared-key", ("pvcnn-prepared-key",), _prepared_key, 50),
    Kind("pvcnn-aggregation-key", ("pvcnn-aggregation-key",), _aggregation_key, 50),
    Kind("proof", (), _proof, 50),
    Kind("pvcnn-statement-list", ("pvcnn-statement-list",), _statement_list, 50),
    Kind(
        "pvcnn-packed-aggregate, three groups",
        ("pvcnn-packed-aggregate",),
        _aggregate("packed, three groups"),
        50,
    ),
    Kind("pvcnn-aggregate", ("pvcnn-aggregate",), _aggregate("folded, three proofs"), 50),
    Kind("pvcnn-aggregate, three groups", ("pvcnn-aggregate",), _aggregate("folded, three groups"), 30),
    Kind(
        "pvcnn-aggregation-verifier-key, of an aggregate",
        ("pvcnn-aggregation-verifier-key",),
        _claim("string"),
        30,
    ),
    Kind("pvcnn-verification-key, of an aggregate", ("pvcnn-verification-key",), _claim("key"), 30),
    Kind("pvcnn-statement, of an aggregate", ("pvcnn-statement",), _claim("statement"), 30),
    Kind("pvcnn-detector", ("pvcnn-detector",), _model("pvcnn-detector"), 10),
    Kind("pvcnn-detector-one-block", ("pvcnn-detector-one-block",), _model("pvcnn-detector-one-block"), 10),
    Kind("pvcnn-shipped-leak", ("pvcnn-shipped-leak",), _shipped_leak, 10),
    Kind("pvcnn-lenet", ("pvcnn-lenet",), _model("pvcnn-lenet"), 10),
]
