"""Contributions, descriptions and proofs of knowledge: one encoding each, and every byte matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra.points import G1Point, G2Point, scalar
from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.chain import follow, update_of
from pvcnn.ceremony.circuit import BASE_LAYOUT, CircuitBase, CircuitState
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.contribution import Contribution
from pvcnn.ceremony.description import (
    CircuitDescription,
    Point,
    PowersDescription,
    Secret,
    description_from_bytes,
)
from pvcnn.ceremony.knowledge import Update, check_proofs, prove
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.encoding import encode, read_map
from pvcnn.errors import DecodeError, VerificationError
from tests.ceremony.conftest import Folders
from tests.qmp.hostile import bad_encodings_g1, bad_encodings_g2, bit_flips, never_well_formed, refuses

SECRETS = (Secret("tau", 1), Secret("gamma", 2))


def update() -> tuple[Update, list[int]]:
    before = (G1Point() * scalar(7), G2Point() * scalar(9))
    after = (before[0] * scalar(3), before[1] * scalar(4))
    return Update(b"previous" * 4, 2, "ann", b"state" * 4, SECRETS, before, after), [3, 4]


def _pair(points: tuple[Point, ...]) -> tuple[Any, Any]:
    return points[0], points[1]


def test_proofs_of_knowledge() -> None:
    given, ratios = update()
    proofs = prove(given, ratios)
    check_proofs(given, proofs)
    for wrong, match in (
        (prove(given, [4, 4]), "tau does not hold"),
        (prove(given, [3, 5]), "gamma does not hold"),
        (proofs[:1], "one proof"),
        (proofs[::-1], "tau is in the wrong group"),
        ((replace(proofs[0], response=proofs[0].response ^ 1), proofs[1]), "tau does not hold"),
    ):
        with pytest.raises(VerificationError, match=match):
            check_proofs(given, wrong)


def test_challenges_depend_on_everything() -> None:
    given, _ = update()
    (b1, b2), (a1, a2) = _pair(given.before), _pair(given.after)
    commitments: list[Point] = [G1Point(), G2Point()]
    seen = [given.challenges(commitments)]
    changes: list[dict[str, Any]] = [
        {"previous": b"other"},
        {"number": 3},
        {"name": "bob"},
        {"state": b"other"},
        {"secrets": (Secret("tau2", 1), SECRETS[1])},
        {"secrets": (SECRETS[0], Secret("gamma2", 2))},
        {"before": (b1 + G1Point(), b2)},
        {"before": (b1, b2 + G2Point())},
        {"after": (a1 + G1Point(), a2)},
        {"after": (a1, a2 + G2Point())},
    ]
    seen += [replace(given, **change).challenges(commitments) for change in changes]
    others: list[list[Point]] = [[G1Point() + G1Point(), G2Point()], [G1Point(), -G2Point()]]
    seen += [given.challenges(each) for each in others]
    for place in range(2):
        assert len({challenges[place] for challenges in seen}) == len(seen)


def test_contributions_have_one_encoding(made: Folders) -> None:
    for path in (made.powers, made.circuit):
        for file in sorted((path / "contributions").iterdir()):
            data = file.read_bytes()
            assert Contribution.from_bytes(data).to_bytes() == data
            assert all(refuses(Contribution.from_bytes, other) for other in never_well_formed(data))


def test_descriptions_have_one_encoding(made: Folders) -> None:
    for path, kind in ((made.powers, PowersDescription), (made.circuit, CircuitDescription)):
        data = (path / "ceremony.cbor").read_bytes()
        given = description_from_bytes(data)
        assert isinstance(given, kind)
        assert given.to_bytes() == data
        assert all(refuses(description_from_bytes, other) for other in never_well_formed(data))


def test_descriptions_that_are_refused(made: Folders) -> None:
    powers = PowersDescription.from_bytes((made.powers / "ceremony.cbor").read_bytes())
    circuit = CircuitDescription.from_bytes((made.circuit / "ceremony.cbor").read_bytes())
    wrong: list[Any] = [
        *(replace(powers, max_proofs=value) for value in (0, 1, 3, 1 << 15)),
        *(replace(powers, domain_log2=value) for value in (0, 25)),
        *(
            replace(circuit, committed=value)
            for value in (("in", "in"), ("in", "pub"), ("",), ("x" * 17,), ("a b",), ("é",), ("IN",))
        ),
        replace(circuit, frames=0),
    ]
    for each in wrong:
        assert refuses(description_from_bytes, each.to_bytes()), each


def test_every_bit_of_a_chain_matters(made: Folders) -> None:
    """Flipped bits are no contribution any more, or one that its chain refuses."""
    for path in (made.powers, made.circuit):
        description = description_from_bytes((path / "ceremony.cbor").read_bytes())
        encoded = [file.read_bytes() for file in sorted((path / "contributions").iterdir())]
        links = [Contribution.from_bytes(data) for data in encoded]
        for place in (0, 2):
            for flipped in bit_flips(encoded[place], 40):
                try:
                    changed = [*links[:place], Contribution.from_bytes(flipped), *links[place + 1 :]]
                except DecodeError:
                    continue
                try:
                    # The beacon's own state is bound by whoever names the transcript's digest.
                    assert follow(description, changed).digest != follow(description, links).digest
                except VerificationError:
                    continue


def test_points_that_are_none(made: Folders) -> None:
    data = (made.circuit / "contributions" / "000001.cbor").read_bytes()
    body = {
        key: value for key, value in read_map(data, "x", 1 << 20).items() if key not in ("format", "version")
    }
    assert encode("pvcnn-ceremony-contribution", 1, body) == data
    for field, tail in (("points", b""), ("proofs", bytes(32))):
        for place, bad in ((0, bad_encodings_g2()), (-1, bad_encodings_g1())):
            for what, wrong in bad.items():
                items = list(body[field])
                items[place] = wrong + tail
                changed = encode("pvcnn-ceremony-contribution", 1, body | {field: items})
                assert refuses(Contribution.from_bytes, changed), (field, what)
    items = [*body["proofs"][:-1], body["proofs"][-1][:-32] + b"\xff" * 32]
    changed = encode("pvcnn-ceremony-contribution", 1, body | {"proofs": items})
    assert refuses(Contribution.from_bytes, changed), "a response that is not below r"
    for change in (
        {"name": "beacon"},
        {"name": "a\u202eb"},
        {"beacon": bytes(16), "log2_iterations": 10},
        {"log2_iterations": 10},
        {"beacon": bytes(16), "log2_iterations": 40, "proofs": [], "name": "beacon"},
        {"beacon": bytes(8), "log2_iterations": 10, "proofs": [], "name": "beacon"},
        {"points": [b""]},
        {"number": 0},
    ):
        changed = encode("pvcnn-ceremony-contribution", 1, body | change)
        assert refuses(Contribution.from_bytes, changed), change


def test_beacons_are_no_contributors() -> None:
    given = Contribution(1, "ann", bytes(32), bytes(32), (G1Point(),), ())
    with pytest.raises(ValueError, match="the name 'beacon' is the beacon's"):
        replace(given, beacon=Beacon(bytes(16)))
    assert replace(given, beacon=Beacon(bytes(16)), name="beacon").beacon is not None


def test_states_are_read_with_care(folders: Folders) -> None:
    """Another file, counts of another ceremony, bytes that are no state."""
    powers, circuit = PowersCeremony.open(folders.powers), CircuitCeremony.open(folders.circuit)
    for ceremony in (powers, circuit):
        digest = ceremony.chain().state
        path = ceremony.folder.state(digest)
        data = path.read_bytes()
        for place in (20, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(DecodeError):
                ceremony.load_state(digest)
        for other in (b"", data[:-1], data + b"\0"):
            path.write_bytes(other)
            with pytest.raises(DecodeError):
                ceremony.load_state(digest)
        path.write_bytes(data)
        ceremony.load_state(digest)
    small = PowersState.initial(3, 2)
    path = folders.powers / "states" / "small"
    small.save(path)
    with pytest.raises(DecodeError, match="missing or surplus powers"):
        PowersState.load(path, small.digest(), powers.description)
    state = circuit.load_state(circuit.chain().state)
    shorter = CircuitState(
        replace(state.shape, private=state.shape.private - 1),
        state.arrays() | {"private_g1": state.points_of["private_g1"][:-1]},
    )
    shorter.save(path)
    with pytest.raises(DecodeError, match="missing or surplus points"):
        CircuitState.load(path, shorter.digest(), state.shape)


def test_bases_are_read_with_care(folders: Folders) -> None:
    ceremony = CircuitCeremony.open(folders.circuit)
    arrays = ceremony.base.arrays()
    assert [*arrays] == [*BASE_LAYOUT.columns]
    wrong = CircuitBase(**(arrays | {"a_wires": np.zeros(1, np.int32)}))
    wrong.save(folders.circuit / "other")
    with pytest.raises(DecodeError, match="do not match their points"):
        CircuitBase.load(folders.circuit / "other", wrong.digest())
    with pytest.raises(DecodeError, match="not the file that the ceremony names"):
        CircuitBase.load(folders.circuit / "other", ceremony.description.base)


def test_updates_name_what_is_missing(made: Folders) -> None:
    ceremony = PowersCeremony.open(made.open_powers)
    link = ceremony.folder.contributions()[0]
    chain = follow(ceremony.description, [])
    for points in (link.points[:-1], (*link.points, G1Point()), (*link.points[:-1], G2Point())):
        with pytest.raises(VerificationError, match="not those of the ceremony's secrets"):
            update_of(ceremony.description, chain, replace(link, points=points))
