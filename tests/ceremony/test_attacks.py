"""Cheating contributors, coordinators and beacons: whatever they append, the transcript stops to verify."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.constants import SCALAR_MODULUS as _R
from pvcnn.algebra.curve import fixed_base_g1, fixed_base_g2, g1_from_points, g1_to_points, g2_from_points
from pvcnn.algebra.multiples import multiples_g1, multiples_g2
from pvcnn.ceremony.ceremony import Ceremony
from pvcnn.ceremony.circuit import CircuitBase
from pvcnn.ceremony.circuit_ceremony import PROVING_KEY, CircuitCeremony
from pvcnn.ceremony.circuit_check import check_circuit
from pvcnn.ceremony.circuit_start import start_circuit
from pvcnn.ceremony.contribution import Contribution
from pvcnn.ceremony.finished import check_keys
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.progress import Silence
from pvcnn.errors import CampaignError, DecodeError, PvcnnError, VerificationError
from tests.ceremony.conftest import FIRST_BEACON, SECOND_BEACON, Folders, tiny_program
from tests.ceremony.forging import Arrays, Forgery, changed
from tests.qmp.hostile import stray_g1, stray_g2

_SILENCE = Silence()


def refused(ceremony: Ceremony[Any], match: str, error: type[PvcnnError] = VerificationError) -> None:
    """Neither verified nor built upon."""
    again = type(ceremony).open(ceremony.folder.path)  # type: ignore[attr-defined]
    before = sorted(path.name for path in again.folder.path.rglob("*"))
    with pytest.raises(error, match=match):
        again.verify()
    with pytest.raises(error, match=match):
        again.contribute("honest")
    assert sorted(path.name for path in again.folder.path.rglob("*")) == before


def test_forgeries_without_a_change_are_contributions(
    open_powers: PowersCeremony, open_circuit: CircuitCeremony
) -> None:
    """So whatever is refused below is refused for what was changed."""
    for ceremony in (open_powers, open_circuit):
        Forgery({}).append_to(ceremony)
        assert ceremony.verify().chain.contributors[2:] == ("cheat",)


# The chain.


def test_a_contribution_that_builds_on_something_else(open_powers: PowersCeremony) -> None:
    Forgery({}, link=lambda link: replace(link, previous=bytes(32))).append_to(open_powers)
    refused(open_powers, r"contribution 3 \(cheat\): it does not build on what comes before it")


def test_a_contribution_that_leaves_out_the_one_before_it(open_powers: PowersCeremony) -> None:
    """Made onto the first contribution, which takes all that the second one added away, and put third."""
    other = open_powers.chain().digest
    link = Forgery({}).append_to(PowersCeremony.open(_copy(open_powers)))
    skipped = open_powers.folder.contributions()[0].points
    moved = replace(link, points=skipped, previous=other)
    open_powers.folder.append(moved)
    refused(open_powers, "proof of knowledge of tau does not hold")


def test_a_proof_used_again(open_powers: PowersCeremony) -> None:
    """Another contributor's proofs under one's own name, for the same points and the same place."""
    honest = Forgery({}, name="honest").append_to(PowersCeremony.open(_copy(open_powers)))
    for link in (
        replace(honest, name="thief"),
        replace(honest, proofs=open_powers.folder.contributions()[1].proofs),
        replace(honest, proofs=honest.proofs[1:] + honest.proofs[:1]),
    ):
        copy = PowersCeremony.open(_copy(open_powers))
        copy.folder.append(link)
        refused(copy, r"contribution 3 \(\w+\): the proof of knowledge of \w+ does not hold")


def test_proofs_left_out(open_powers: PowersCeremony) -> None:
    Forgery({}, link=lambda link: replace(link, proofs=link.proofs[:-1])).append_to(open_powers)
    refused(open_powers, "one proof of knowledge for each secret")


def test_points_swapped_or_left_out(open_circuit: CircuitCeremony) -> None:
    """gamma_in stands for gamma_w and the other way round, or delta for an eta."""

    def swapped(*order: int) -> Callable[[Contribution], Contribution]:
        return lambda link: replace(link, points=tuple(link.points[i] for i in order))

    for order, match in (
        ((0, 1, 3, 2, 4, 5, 6, 7), "proof of knowledge of delta does not hold"),
        ((5, 1, 2, 3, 4, 0, 6, 7), "not those of the ceremony's secrets"),
        ((0, 1, 2, 3, 4, 5, 6), "not those of the ceremony's secrets"),
    ):
        copy = CircuitCeremony.open(_copy(open_circuit))
        Forgery({}, link=swapped(*order)).append_to(copy)
        refused(copy, match)


def test_a_copy_of_an_earlier_contribution(open_powers: PowersCeremony) -> None:
    open_powers.folder.append(replace(open_powers.folder.contributions()[1], number=3))
    refused(open_powers, r"contribution 3 \(bob\): it does not build on")


def test_truncated_transcripts(folders: Folders) -> None:
    """What is left of a chain names a state that is gone; with a gap, nothing is read at all."""
    ceremony = PowersCeremony.open(folders.open_powers)
    contributions = ceremony.folder.path / "contributions"
    (contributions / "000002.cbor").unlink()
    with pytest.raises(CampaignError, match="cannot read"):
        ceremony.verify()
    (contributions / "000001.cbor").rename(contributions / "000002.cbor")
    with pytest.raises(DecodeError, match="a gap or a strange file: 000002"):
        ceremony.verify()


def test_powers_truncated_below_a_circuit(folders: Folders) -> None:
    """Closed powers whose last two links, beacon included, have been replaced by a cheat's own."""
    shutil.rmtree(folders.open_circuit / "powers")
    other = PowersCeremony.open(folders.open_powers)
    other.close(SECOND_BEACON)
    shutil.copytree(folders.open_powers, folders.open_circuit / "powers")
    refused(CircuitCeremony.open(folders.open_circuit), "not those that the circuit's ceremony began with")


# Secrets.


@pytest.mark.parametrize("secret", ["tau", "alpha", "beta", "a", "b"])
def test_secrets_of_the_powers_that_are_1(open_powers: PowersCeremony, secret: str) -> None:
    Forgery({secret: 1}).append_to(open_powers)
    refused(open_powers, f"it leaves {secret} as it was")


@pytest.mark.parametrize("secret", ["delta", "gamma_pub", "gamma_in", "gamma_w", "gamma_aux"])
def test_secrets_of_a_circuit_that_are_1(open_circuit: CircuitCeremony, secret: str) -> None:
    Forgery({secret: 1}).append_to(open_circuit)
    refused(open_circuit, f"it leaves {secret} as it was")


def test_a_secret_that_is_0(open_powers: PowersCeremony) -> None:
    """Its point is the identity, which no contribution can even be read with; nor can a state have it."""
    Forgery({"tau": 0}).append_to(open_powers)
    refused(open_powers, "the identity of G1", DecodeError)


def test_arrays_of_a_secret_that_is_0(open_powers: PowersCeremony) -> None:
    nothing = np.zeros(24, np.uint64)
    Forgery({}, arrays=changed("beta_g2", 0, nothing)).append_to(open_powers)
    refused(open_powers, "beta differs between G1 and G2")


def test_equal_strings_of_the_aggregation(open_powers: PowersCeremony) -> None:
    """A cheat who knows a / b: it made both, from the beginning."""
    fresh = PowersCeremony.create(open_powers.folder.path.parent / "fresh", 2, 2)
    Forgery({"a": 5, "b": 5}).append_to(fresh)
    refused(fresh, "a and b are equal")


@pytest.mark.parametrize("pair", [("gamma_in", "gamma_w"), ("gamma_pub", "gamma_aux"), ("gamma_in", "delta")])
def test_equal_gammas(folders: Folders, pair: tuple[str, str]) -> None:
    fresh = CircuitCeremony.create(folders.powers.parent / "fresh", folders.powers, tiny_program(), 1)
    Forgery(dict.fromkeys(pair, 77)).append_to(fresh)
    refused(fresh, "are equal")


def test_a_secret_brought_back_to_1(folders: Folders) -> None:
    fresh = PowersCeremony.create(folders.powers.parent / "fresh", 2, 2)
    Forgery({"tau": 5}).append_to(fresh)
    Forgery({"tau": pow(5, -1, _R), "alpha": 3, "beta": 3, "a": 3, "b": 5}).append_to(fresh)
    refused(fresh, "tau is 1")


def test_an_eta_that_nobody_knows(folders: Folders) -> None:
    """eta_in becomes the K_i of a weight, which the first contributor can do: every equation holds."""
    fresh = CircuitCeremony.create(folders.powers.parent / "fresh", folders.powers, tiny_program(), 1)
    weight = fresh.verify().state.points_of["w_g1"][:1]

    def eta(arrays: Arrays) -> Arrays:
        for name, secret in (("blinding_gamma_g1", 31), ("blinding_delta_g1", 41)):
            array = arrays[name].copy()
            array[:1] = _scaled(weight, [pow(secret, -1, _R)])
            arrays |= {name: array}
        return arrays

    under_delta = g1_to_points(_scaled(weight, [pow(41, -1, _R)]))
    Forgery(
        {"gamma_in": 31, "delta": 41},
        arrays=eta,
        points=lambda points: (*points[:5], *under_delta, *points[6:]),
    ).append_to(fresh)
    refused(fresh, "proof of knowledge of eta_in does not hold")
    fresh.check_state(fresh.load_state(fresh.folder.contributions()[0].state), _points_of(fresh), _SILENCE)


# States that are not what the chain says.


def test_tau_that_differs_between_the_groups(open_powers: PowersCeremony) -> None:
    def other_tau(arrays: Arrays) -> Arrays:
        factors = scalars.geometric(1, 9, len(arrays["tau_g2"]))
        return arrays | {"tau_g2": multiples_g2(arrays["tau_g2"], factors)}

    Forgery({}, arrays=other_tau).append_to(open_powers)
    refused(open_powers, "the points of G1 are not powers of the tau of G2")


def test_another_tau_than_was_proved(open_powers: PowersCeremony) -> None:
    Forgery({"tau": 5}, ratios={"tau": 7}).append_to(open_powers)
    refused(open_powers, "tau is not the one that the contributions lead to")


def test_gamma_changed_without_the_commitments_points(open_circuit: CircuitCeremony) -> None:
    """[gamma_w]2 is 3 times what the new [K_i/gamma_w]1 are divided by."""
    Forgery(
        {"gamma_w": 5},
        ratios={"gamma_w": 15},
        arrays=lambda arrays: (
            arrays
            | {"gamma_g2": multiples_g2(arrays["gamma_g2"], scalars.from_integers([1, 1, 3, 1]))}
            | {"blinding_gamma_g1": _scaled(arrays["blinding_gamma_g1"], [1, pow(3, -1, _R), 1])}
        ),
    ).append_to(open_circuit)
    refused(open_circuit, r"\[K_i/gamma_s\]1")


def test_segments_swapped(open_circuit: CircuitCeremony) -> None:
    """The points of features stand where weights' should, all under the right gammas."""

    def swap(arrays: Arrays) -> Arrays:
        features, weights = arrays["in_g1"].copy(), arrays["w_g1"].copy()
        features[:], weights[:4] = arrays["w_g1"][:4], arrays["in_g1"]
        return arrays | {"in_g1": features, "w_g1": weights}

    Forgery({}, arrays=swap).append_to(open_circuit)
    refused(open_circuit, r"\[K_i/gamma_s\]1")


def test_eta_under_gamma_but_not_under_delta(open_circuit: CircuitCeremony) -> None:
    Forgery(
        {},
        arrays=lambda arrays: arrays | {"blinding_gamma_g1": _scaled(arrays["blinding_gamma_g1"], [1, 1, 2])},
    ).append_to(open_circuit)
    refused(open_circuit, "the blinding points of segment 'aux' disagree")


def test_delta_that_differs_between_the_groups(open_circuit: CircuitCeremony) -> None:
    Forgery({}, arrays=lambda arrays: arrays | {"delta_g1": _scaled(arrays["delta_g1"], [2])}).append_to(
        open_circuit
    )
    refused(open_circuit, "delta differs between G1 and G2")


def test_one_wrong_point_anywhere_in_the_powers(open_powers: PowersCeremony) -> None:
    state = open_powers.verify().state
    points = open_powers.chain().points
    for name, array in state.arrays().items():
        other = _other(name)
        for row in sorted({0, len(array) // 2, len(array) - 1}):
            spoilt = type(state)(**changed(name, row, other)(state.arrays()))
            with pytest.raises(VerificationError):
                open_powers.check_state(spoilt, points, _SILENCE)
    open_powers.check_state(state, points, _SILENCE)


def test_one_wrong_point_anywhere_in_the_first_powers(tmp_path: Path) -> None:
    fresh = PowersCeremony.create(tmp_path / "fresh", 2, 2)
    state, points = fresh.verify().state, fresh.chain().points
    for name, array in state.arrays().items():
        for row in sorted({0, len(array) - 1}):
            spoilt = type(state)(**changed(name, row, _other(name))(state.arrays()))
            with pytest.raises(VerificationError, match=name):
                fresh.check_state(spoilt, points, _SILENCE)


def test_one_wrong_point_anywhere_in_the_keys(open_circuit: CircuitCeremony) -> None:
    state, points = open_circuit.verify().state, open_circuit.chain().points
    for name, array in state.arrays().items():
        for row in sorted({0, len(array) // 2, len(array) - 1}):
            spoilt = type(state)(state.shape, changed(name, row, _other(name))(state.arrays()))
            with pytest.raises(VerificationError):
                open_circuit.check_state(spoilt, points, _SILENCE)
    base = open_circuit.base
    for name in ("u_g1", "v_g1", "v_g2"):
        for row in (0, len(getattr(base, name)) - 1):
            spoilt_arrays = changed(name, row, _other(name))(base.arrays())
            open_circuit.base = type(base)(**spoilt_arrays)
            with pytest.raises(VerificationError, match=name):
                open_circuit.check_state(state, points, _SILENCE)
    for wires in (base.a_wires[:-1], base.a_wires[::-1], base.a_wires + np.int32(1 << 20)):
        kept = base.u_g1[: len(wires)]
        open_circuit.base = replace(base, a_wires=np.ascontiguousarray(wires), u_g1=kept)
        with pytest.raises(VerificationError):
            open_circuit.check_state(state, points, _SILENCE)


@pytest.mark.parametrize("matrix", ["a", "b", "c"])
def test_keys_of_another_circuit(open_circuit: CircuitCeremony, matrix: str) -> None:
    """Of one that differs in a coefficient: as many wires and constraints, the same powers and secrets."""
    powers, system = open_circuit.powers().state, open_circuit.system
    given = getattr(system, matrix)
    coefficients = given.coefficients.copy()
    coefficients[-1] *= 2
    other = replace(system, **{matrix: replace(given, coefficients=coefficients)})
    base, state = start_circuit(other, powers, _SILENCE)
    points = {each.name: each.generator for each in open_circuit.description.secrets}
    check_circuit(other, powers, base, state, points, _SILENCE)
    with pytest.raises(VerificationError, match="keys: "):
        check_circuit(system, powers, base, state, points, _SILENCE)


def test_another_program(folders: Folders, open_circuit: CircuitCeremony) -> None:
    open_circuit.folder.program.write_bytes(tiny_program(6).to_bytes())
    refused(open_circuit, "program.cbor is not the program that the ceremony names")


@pytest.mark.parametrize("group", ["g1", "g2"])
def test_points_outside_of_their_groups(open_powers: PowersCeremony, group: str) -> None:
    """Of the curve but not of its subgroup, or not of the curve."""
    stray = g1_from_points([stray_g1()])[0] if group == "g1" else g2_from_points([stray_g2()])[0]
    off = stray.copy()
    off[0] ^= np.uint64(1)
    for value, match in ((stray, "outside of its group"), (off, "not a point")):
        copy = PowersCeremony.open(_copy(open_powers))
        Forgery({}, arrays=changed(f"tau_{group}", 3, value)).append_to(copy)
        refused(copy, f"tau_{group} holds .*{match}")


def test_pipes_in_the_place_of_files(folders: Folders) -> None:
    """Nobody writes to them, and nobody waits for that."""
    ceremony = CircuitCeremony.open(folders.circuit)
    record = ceremony.record_of(ceremony.verify())
    check_keys(ceremony, record)
    for path in (
        folders.circuit / "keys" / PROVING_KEY,
        ceremony.folder.state(ceremony.chain().state),
        ceremony.folder.base,
        ceremony.folder.program,
    ):
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(VerificationError, match="not the one that the ceremony made"):
        check_keys(ceremony, record)
    with pytest.raises(PvcnnError):
        CircuitCeremony.open(folders.circuit).verify()
    with pytest.raises(DecodeError, match="empty"):
        ceremony.load_state(ceremony.chain().state)
    with pytest.raises(DecodeError, match="empty"):
        CircuitBase.load(ceremony.folder.base, ceremony.description.base)


# Beacons.


def test_nothing_follows_a_beacon(folders: Folders) -> None:
    for kind, path in ((PowersCeremony, folders.powers), (CircuitCeremony, folders.circuit)):
        ceremony: Any = kind.open(path)
        with pytest.raises(CampaignError, match="has closed this ceremony"):
            ceremony.contribute("late")
        with pytest.raises(CampaignError, match="has closed this ceremony"):
            ceremony.close(replace(SECOND_BEACON, value=b"another beacon's value"))
        Forgery({}).append_to(ceremony)
        with pytest.raises(VerificationError, match="after the beacon, which closed the ceremony"):
            kind.open(path).verify()


def test_a_beacon_alone(tmp_path: Path) -> None:
    fresh = PowersCeremony.create(tmp_path / "fresh", 2, 2)
    with pytest.raises(VerificationError, match="nobody has contributed yet"):
        fresh.close(FIRST_BEACON)
    secrets = FIRST_BEACON.secrets(fresh.chain().digest, fresh.description.secrets)
    Forgery(secrets, beacon=FIRST_BEACON, name="beacon").append_to(fresh)
    refused(fresh, "closes no ceremony without contributors")


def test_a_beacon_with_chosen_secrets(open_powers: PowersCeremony) -> None:
    Forgery({}, beacon=FIRST_BEACON, name="beacon").append_to(open_powers)
    refused(open_powers, "its tau does not come from the beacon")


def test_a_beacon_of_other_rounds_or_of_an_earlier_place(folders: Folders) -> None:
    """Its secrets are those of another number of iterations, or of a shorter chain."""
    for wrong in ("rounds", "place"):
        ceremony = PowersCeremony.open(_copy(PowersCeremony.open(folders.open_powers)))
        chain = ceremony.chain()
        made_with = replace(FIRST_BEACON, log2_iterations=11) if wrong == "rounds" else FIRST_BEACON
        previous = chain.digest if wrong == "rounds" else chain.contributions[-1].previous
        secrets = made_with.secrets(previous, ceremony.description.secrets)
        Forgery(secrets, beacon=FIRST_BEACON, name="beacon").append_to(ceremony)
        refused(ceremony, "does not come from the beacon")


def test_the_powers_beacon_once_more(open_circuit: CircuitCeremony) -> None:
    """Whoever contributed last to the circuit knew it."""
    with pytest.raises(VerificationError, match="wait for another one"):
        open_circuit.close(FIRST_BEACON)
    secrets = FIRST_BEACON.secrets(open_circuit.chain().digest, open_circuit.description.secrets)
    Forgery(secrets, beacon=FIRST_BEACON, name="beacon").append_to(open_circuit)
    refused(open_circuit, "was known before")


def _copy(ceremony: Ceremony[Any]) -> Path:
    source = ceremony.folder.path
    target = source.with_name(f"{source.name}-{len(list(source.parent.iterdir()))}")
    shutil.copytree(source, target)
    return target


def _points_of(ceremony: Ceremony[Any]) -> dict[str, Any]:
    """The points that the last contribution claims, right or wrong."""
    names = (each.name for each in ceremony._description.secrets)
    return dict(zip(names, ceremony.folder.contributions()[-1].points, strict=True))


def _scaled(points: Any, factors: list[int]) -> Any:
    return multiples_g1(points, scalars.from_integers(factors))


def _other(name: str) -> Any:
    """A point of the right group that stands nowhere."""
    base = fixed_base_g1 if name.endswith("_g1") else fixed_base_g2
    return base(scalars.from_integers([0xDEADBEEF]))[0]
