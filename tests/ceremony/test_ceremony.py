"""Honest ceremonies: the keys they end in, what they leave when interrupted, and what nobody may see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.curve import fixed_base_g1
from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.ceremony import ceremony as ceremony_module
from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.circuit_ceremony import (
    AGGREGATION_KEY,
    CIRCUIT_KEY,
    PROVING_KEY,
    CircuitCeremony,
)
from pvcnn.ceremony.description import Secret
from pvcnn.ceremony.drawing import drawn
from pvcnn.ceremony.finished import check_keys
from pvcnn.ceremony.folder import CeremonyFolder
from pvcnn.ceremony.opening import open_ceremony
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.progress import Silence
from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.keys import CircuitKey
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.setup import Trapdoors, keys_of_trapdoors
from tests.ceremony.conftest import (
    DOMAIN_LOG2,
    FIRST_BEACON,
    MAX_PROOFS,
    SECOND_BEACON,
    Folders,
    tiny_program,
)


class Product:
    """Remembers all that contributors draw, and beacons give, multiplied up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[str, int] = {}
        original = Beacon.secrets

        @contextmanager
        def remembered(wanted: Sequence[Secret], entropy: bytes = b"") -> Iterator[dict[str, int]]:
            with drawn(wanted, entropy) as values:
                self.multiply(values)
                yield values

        def of_beacon(
            beacon: Beacon, previous: bytes, wanted: Sequence[Secret], *rest: Any
        ) -> dict[str, int]:
            values = original(beacon, previous, wanted, *rest)
            if rest:  # when it is appended; without, it is being verified
                self.multiply(values)
            return values

        monkeypatch.setattr(ceremony_module, "drawn", remembered)
        monkeypatch.setattr(Beacon, "secrets", of_beacon)

    def multiply(self, values: dict[str, int]) -> None:
        for name, value in values.items():
            self.values[name] = self.values.get(name, 1) * value % R


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[CircuitCeremony, dict[str, int]]:
    """A whole ceremony, and the secrets that nobody should know."""
    product = Product(monkeypatch)
    powers = PowersCeremony.create(tmp_path / "powers", DOMAIN_LOG2 + 1, MAX_PROOFS)
    for name in ("ann", "bob"):
        powers.contribute(name)
    powers.close(FIRST_BEACON)
    circuit = CircuitCeremony.create(tmp_path / "circuit", tmp_path / "powers", tiny_program(), 1)
    for name in ("cy", "ann"):
        circuit.contribute(name, b"some bytes")
    circuit.finalize(circuit.close(SECOND_BEACON))
    return circuit, product.values


def test_the_keys_are_those_of_the_products(finished: tuple[CircuitCeremony, dict[str, int]]) -> None:
    """Bit by bit what a single setup makes of the same secrets, on powers longer than need be."""
    ceremony, secret = finished
    segments = ("pub", *ceremony.description.committed)
    trapdoors = Trapdoors(
        alpha=secret["alpha"],
        beta=secret["beta"],
        delta=secret["delta"],
        tau=secret["tau"],
        gamma={segment: secret[f"gamma_{segment}"] for segment in segments},
        eta={segment: secret[f"eta_{segment}"] for segment in segments[1:]},
    )
    expected, circuit_key = keys_of_trapdoors(ceremony.system, tiny_program().digest(), 1, trapdoors)
    assert (ceremony.folder.keys / PROVING_KEY).read_bytes() == expected.to_bytes()
    assert (ceremony.folder.keys / CIRCUIT_KEY).read_bytes() == circuit_key.to_bytes()
    key = AggregationKey.from_bytes((ceremony.folder.keys / AGGREGATION_KEY).read_bytes())
    for powers, value in ((key.a, secret["a"]), (key.b, secret["b"])):
        assert list(powers.g1) == [G1Point() * scalar(pow(value, i, R)) for i in range(2 * MAX_PROOFS)]
        assert list(powers.g2) == [G2Point() * scalar(pow(value, i, R)) for i in range(MAX_PROOFS)]


def test_gamma_is_shown_in_g1_nowhere(finished: tuple[CircuitCeremony, dict[str, int]]) -> None:
    ceremony, secret = finished
    gammas = [value for name, value in secret.items() if name.startswith("gamma_")]
    assert len(gammas) == 4
    hidden = {row.tobytes() for row in fixed_base_g1(scalars.from_integers(gammas + [-g for g in gammas]))}
    state = ceremony.verify().state
    shown = {row.tobytes() for name, array in state.arrays().items() if name.endswith("_g1") for row in array}
    assert len(shown) > 100
    assert not hidden & shown
    in_g1 = [point for link in ceremony.folder.contributions() for point in link.points]
    in_g1 += [proof.commitment for link in ceremony.folder.contributions() for proof in link.proofs]
    assert not any(point == G1Point() * scalar(gamma) for point in in_g1 for gamma in gammas)


def test_provers_accept_the_keys(made: Folders) -> None:
    key = ProvingKey.load(made.circuit / "keys" / PROVING_KEY)
    check_proving_key(key)
    assert key.circuit_key == CircuitKey.from_bytes((made.circuit / "keys" / CIRCUIT_KEY).read_bytes())


def test_whole_transcripts_verify(made: Folders) -> None:
    for path, names in (
        (made.open_powers, ("ann", "bob")),
        (made.powers, ("ann", "bob")),
        (made.open_circuit, ("ann", "cy")),
        (made.circuit, ("ann", "cy")),
    ):
        ceremony = open_ceremony(path)
        verified = ceremony.verify()
        assert verified.chain.contributors == names
        assert verified.chain.is_closed == (path in (made.powers, made.circuit))


def test_one_kind_is_not_the_other(made: Folders) -> None:
    with pytest.raises(DecodeError, match="not one of powers"):
        PowersCeremony.open(made.circuit)
    with pytest.raises(DecodeError, match="not a circuit's"):
        CircuitCeremony.open(made.powers)
    with pytest.raises(CampaignError, match="is no ceremony"):
        open_ceremony(made.circuit / "keys")


def test_what_a_circuit_needs(made: Folders, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="no beacon has closed"):
        CircuitCeremony.create(tmp_path / "x", made.open_powers, tiny_program(), 1)
    short = PowersCeremony.create(tmp_path / "short", DOMAIN_LOG2 - 1, MAX_PROOFS)
    short.contribute("ann")
    short.close(FIRST_BEACON)
    with pytest.raises(ValueError, match=r"needs powers for 2\^6 constraints, these serve 2\^5"):
        CircuitCeremony.create(tmp_path / "x", tmp_path / "short", tiny_program(), 1)
    with pytest.raises(CampaignError, match="exists already"):
        CircuitCeremony.create(tmp_path / "short", made.powers, tiny_program(), 1)
    open_circuit = CircuitCeremony.open(made.open_circuit)
    with pytest.raises(VerificationError, match="it has no keys"):
        open_circuit.keys(open_circuit.verify())


@pytest.mark.parametrize("name", ["", " ann", "an\nn", "x" * 65, "beacon"])
def test_names_that_are_none(open_powers: PowersCeremony, name: str) -> None:
    """Said at once, not after a minute's work."""
    before, steps = _files(open_powers.folder.path), _Steps()
    with pytest.raises(ValueError, match="name"):
        open_powers.contribute(name, progress=steps)
    assert _files(open_powers.folder.path) == before
    assert not steps.begun


class _Steps(Silence):
    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, step: str, total: int) -> None:
        self.begun.append(step)


@pytest.mark.parametrize("moment", ["times", "fsync", "append"])
def test_interrupted_contributions(
    open_powers: PowersCeremony, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it happens, what was there is still there and verifies, and somebody else can go on."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before, chain = _files(open_powers.folder.path), open_powers.chain()
    with monkeypatch.context() as patch:
        where = {"times": PowersState, "append": CeremonyFolder, "fsync": os}
        patch.setattr(where[moment], moment, interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_powers.contribute("ann")
    assert _files(open_powers.folder.path) >= before
    assert open_powers.verify().chain == chain
    open_powers.contribute("dan")
    assert len(list((open_powers.folder.path / "states").iterdir())) == 1


def test_of_two_contributions_at_a_time_one_wins(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = PowersCeremony.open(folders.open_powers), PowersCeremony.open(folders.open_powers)
    before = slow.verify()
    fast.contribute("fast")
    with monkeypatch.context() as patch:
        patch.setattr(slow, "verify", lambda _progress: before)
        with pytest.raises(CampaignError, match="contribution 3 in the meantime"):
            slow.contribute("slow")
    assert len(list((folders.open_powers / "states").iterdir())) == 1
    assert fast.verify().chain.contributors == ("ann", "bob", "fast")


def test_an_unfinished_start_is_named(tmp_path: Path) -> None:
    PowersCeremony.create(tmp_path / "p", 2, 2)
    (tmp_path / "p" / "ceremony.cbor").unlink()
    with pytest.raises(CampaignError, match="did not finish it: remove it"):
        open_ceremony(tmp_path / "p")


def test_drawn_secrets() -> None:
    wanted = (Secret("tau", 1), Secret("gamma", 2))
    seen = []
    for entropy in (b"", b"", b"x"):
        with drawn(wanted, entropy) as values:
            seen.append(dict(values))
            kept = values
        assert not kept
    assert len({value for values in seen for value in values.values()}) == 6
    assert all(1 < value < R for values in seen for value in values.values())


def test_entropy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a broken generator, the user's bytes alone decide."""
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes(size))
    drawn_with = []
    for entropy in (b"", b"", b"x"):
        with drawn((Secret("tau", 1),), entropy) as values:
            drawn_with.append(values["tau"])
    assert drawn_with[0] == drawn_with[1] != drawn_with[2]


def test_beacons() -> None:
    wanted = (Secret("tau", 1), Secret("gamma", 2))
    beacon, steps = Beacon(bytes(16), 10), list[int]()
    first = beacon.secrets(b"previous", wanted, steps.append)
    assert sum(steps) == 1 << 10
    assert first == beacon.secrets(b"previous", wanted)
    others = (Beacon(bytes(15) + b"\1", 10), replace(beacon, log2_iterations=11))
    drawn_values = [each.secrets(b"previous", wanted) for each in others]
    drawn_values += [first, beacon.secrets(b"other", wanted)]
    assert len({value for values in drawn_values for value in values.values()}) == 8
    for value, rounds in ((bytes(15), 10), (bytes(65), 10), (bytes(16), 9), (bytes(16), 23)):
        with pytest.raises(ValueError, match="beacon"):
            Beacon(value, rounds)


def test_files_in_keys_are_those_of_the_ceremony(folders: Folders) -> None:
    ceremony = CircuitCeremony.open(folders.circuit)
    record = ceremony.written_record()
    assert record == ceremony.record_of(ceremony.verify())
    assert record is not None
    check_keys(ceremony, record)
    for name in (PROVING_KEY, CIRCUIT_KEY, AGGREGATION_KEY):
        path = folders.circuit / "keys" / name
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(VerificationError, match=name):
            check_keys(ceremony, record)
        path.unlink()
    check_keys(ceremony, record)
    os.mkfifo(path)  # would be opened for ever
    with pytest.raises(CampaignError, match="not a file"):
        check_keys(ceremony, record)


def test_finalizing_again_writes_the_same(folders: Folders) -> None:
    before = {path.name: path.read_bytes() for path in (folders.circuit / "keys").iterdir()}
    shutil.rmtree(folders.circuit / "keys")
    ceremony = CircuitCeremony.open(folders.circuit)
    ceremony.finalize(ceremony.verify())
    assert {path.name: path.read_bytes() for path in (folders.circuit / "keys").iterdir()} == before


def _files(path: Path) -> set[tuple[str, bytes]]:
    return {(str(each.relative_to(path)), each.read_bytes()) for each in path.rglob("*") if each.is_file()}
