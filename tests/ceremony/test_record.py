"""What a ceremony leaves for those who verify a campaign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.aggregate.reference_string import AggregationVerifierKey, aggregation_setup
from pvcnn.algebra.points import G1Point
from pvcnn.ceremony.circuit_ceremony import AGGREGATION_VERIFIER_KEY, CIRCUIT_KEY
from pvcnn.ceremony.record import CeremonyRecord, describe_setup
from pvcnn.errors import VerificationError
from pvcnn.qmp.keys import CircuitKey
from tests.ceremony.conftest import Folders
from tests.house.test_imports import HEAVY, run_without
from tests.qmp.hostile import bit_flips, never_well_formed, refuses

Keys = tuple[CircuitKey, AggregationVerifierKey]


@pytest.fixture
def record(made: Folders) -> CeremonyRecord:
    return CeremonyRecord.from_bytes((made.circuit / "record.cbor").read_bytes())


@pytest.fixture
def keys(made: Folders) -> Keys:
    return (
        CircuitKey.from_bytes((made.circuit / "keys" / CIRCUIT_KEY).read_bytes()),
        AggregationVerifierKey.from_bytes((made.circuit / "keys" / AGGREGATION_VERIFIER_KEY).read_bytes()),
    )


def test_an_honest_record(record: CeremonyRecord, keys: Keys) -> None:
    record.check(*keys)
    record.check(keys[0].commit(G1Point()), keys[1])
    assert record.contributors == ("ann", "bob", "cy")
    digest = record.digest().hex()
    assert describe_setup(record, "x") == f"setup: ceremony of 2 contributors, transcript digest {digest}"
    assert describe_setup(None, "owner") == "setup: single party owner: do not rely on it against owner"


def test_as_many_contributors_as_the_smaller_ceremony_had(record: CeremonyRecord) -> None:
    """Whoever was alone at the circuit knows all its secrets, however many there were at the powers."""
    *circuit, beacon = record.circuit_contributions
    for links, alone in (
        ({"circuit_contributions": (circuit[0], beacon)}, "ann alone for the circuit"),
        ({"circuit_contributions": (circuit[1], circuit[1], beacon)}, "cy alone for the circuit"),
        ({"powers_contributions": record.powers_contributions[1:]}, "bob alone for the powers"),
    ):
        said = replace(record, **links).summary()
        name = alone.split()[0]
        assert f"setup: ceremony of 1 contributor ({alone}: do not rely on it against {name})," in said


def test_one_encoding(record: CeremonyRecord) -> None:
    data = record.to_bytes()
    assert CeremonyRecord.from_bytes(data) == record
    assert all(refuses(CeremonyRecord.from_bytes, other) for other in never_well_formed(data))
    for flipped in bit_flips(data, 40):
        assert refuses(CeremonyRecord.from_bytes, flipped) or (
            CeremonyRecord.from_bytes(flipped).digest() != record.digest()
        )


def test_records_that_do_not_hold(record: CeremonyRecord, keys: Keys) -> None:
    """Chains cut short, exchanged or of another ceremony."""
    powers, circuit = record.powers_contributions, record.circuit_contributions
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"powers_contributions": powers[:-1]}, "powers: no beacon has closed it"),
        ({"circuit_contributions": circuit[:-1]}, "circuit: no beacon has closed it"),
        ({"powers_contributions": powers[1:]}, "does not build on"),
        ({"circuit_contributions": ()}, "no beacon has closed it"),
        ({"circuit_contributions": powers}, "does not build on"),
        ({"powers": replace(record.powers, nonce=bytes(32))}, "does not build on"),
        ({"circuit": replace(record.circuit, powers=bytes(32))}, "does not build on"),
        ({"circuit_key_digest": bytes(32)}, "circuit's key is not the one"),
        ({"aggregation_verifier_key_digest": bytes(32)}, "aggregation's key is not the one"),
    ]
    for change, match in wrong:
        with pytest.raises(VerificationError, match=match):
            replace(record, **change).check(*keys)


def test_other_keys(record: CeremonyRecord, keys: Keys) -> None:
    """A forger may write any digest into a record; the chain leads to the true secrets all the same."""
    key, aggregation = keys
    other = G1Point() + G1Point() + key.alpha_g1
    g2 = key.gamma_g2.pub + key.delta_g2
    for change, match in (
        ({"alpha_g1": other}, "alpha"),
        ({"beta_g2": g2}, "beta"),
        ({"delta_g2": g2}, "delta"),
        ({"gamma_g2": replace(key.gamma_g2, w=g2)}, "gamma_w"),
        ({"frames": 2}, "another circuit"),
        ({"program_digest": bytes(32)}, "another circuit"),
    ):
        changed = replace(key, **change)
        with pytest.raises(VerificationError, match="circuit's key is not the one"):
            record.check(changed, aggregation)
        with pytest.raises(VerificationError, match=match):
            _claiming(record, changed, aggregation).check(changed, aggregation)
    string = aggregation_setup(2).verifier
    with pytest.raises(VerificationError, match="the key's a is not"):
        _claiming(record, key, string).check(key, string)


def test_records_need_no_kernels(made: Folders) -> None:
    code = f"""
from pathlib import Path
from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.ceremony.record import CeremonyRecord
from pvcnn.qmp.keys import CircuitKey
folder = Path({str(made.circuit)!r})
record = CeremonyRecord.from_bytes((folder / "record.cbor").read_bytes())
key = CircuitKey.from_bytes((folder / "keys" / {CIRCUIT_KEY!r}).read_bytes())
string = AggregationVerifierKey.from_bytes((folder / "keys" / {AGGREGATION_VERIFIER_KEY!r}).read_bytes())
record.check(key, string)
print(record.digest().hex())
"""
    result = run_without((*HEAVY, "click", "rich", "safetensors"), code)
    assert result.returncode == 0, result.stderr
    digest = CeremonyRecord.from_bytes(Path(made.circuit / "record.cbor").read_bytes()).digest()
    assert result.stdout.strip() == digest.hex()


def _claiming(record: CeremonyRecord, key: CircuitKey, string: AggregationVerifierKey) -> CeremonyRecord:
    """The record with the digests of these keys."""
    import hashlib

    digests = [hashlib.sha256(each).digest() for each in (key.to_bytes(), string.to_bytes())]
    return replace(record, circuit_key_digest=digests[0], aggregation_verifier_key_digest=digests[1])
