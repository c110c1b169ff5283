"""Keys and powers with errors that cancel: coins that somebody knew let them through, fresh ones do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra import scalars, subgroups
from pvcnn.algebra.curve import fixed_base_g1, g1_from_points
from pvcnn.algebra.point_pairs import sums_and_differences
from pvcnn.algebra.subgroups import g1_in_subgroup
from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.progress import Silence
from pvcnn.errors import VerificationError
from tests.ceremony.forging import Arrays, with_arrays
from tests.qmp.hostile import stray_g1

_SILENCE = Silence()


def ones(length: int) -> Any:
    """In the place of random scalars."""
    return scalars.powers(1, length)


def cancelling(name: str, first: int, second: int) -> Callable[[Arrays], Arrays]:
    """Adds a point to one entry, and takes it from another."""

    def change(arrays: Arrays) -> Arrays:
        array = arrays[name].copy()
        error = fixed_base_g1(scalars.from_integers([0xDEADBEEF]))
        array[[first]] = sums_and_differences(array[[first]], error)[0]
        array[[second]] = sums_and_differences(array[[second]], error)[1]
        return arrays | {name: array}

    return change


def only_with(
    monkeypatch: pytest.MonkeyPatch, coins: dict[str, Any], check: Callable[[], None], match: str
) -> None:
    """The check fails, and holds as soon as its coins are these."""
    with pytest.raises(VerificationError, match=match):
        check()
    for name, known in coins.items():
        monkeypatch.setattr(name, known)
    check()


def test_powers_whose_errors_cancel(open_powers: PowersCeremony, monkeypatch: pytest.MonkeyPatch) -> None:
    state, points = open_powers.verify().state, open_powers.chain().points
    forged = with_arrays(state, cancelling("tau_g1", 5, 9)(state.arrays()))
    only_with(
        monkeypatch,
        {"pvcnn.algebra.scalars.random": ones},
        lambda: open_powers.check_state(forged, points, _SILENCE),
        "not powers of the tau",
    )


def test_keys_whose_errors_cancel(open_circuit: CircuitCeremony, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the points that commitments to auxiliary wires are made with."""
    state, points = open_circuit.verify().state, open_circuit.chain().points
    forged = with_arrays(state, cancelling("aux_g1", 0, 1)(state.arrays()))
    only_with(
        monkeypatch,
        {"pvcnn.ceremony.circuit_check.random_weights": lambda system: ones(system.segments.total)},
        lambda: open_circuit.check_state(forged, points, _SILENCE),
        r"\[K_i/gamma_s\]1",
    )


def test_quotients_whose_errors_cancel(
    open_circuit: CircuitCeremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, points = open_circuit.verify().state, open_circuit.chain().points
    forged = with_arrays(state, cancelling("quotient_g1", 3, 4)(state.arrays()))
    only_with(
        monkeypatch,
        {"pvcnn.ceremony.circuit_check.scalars.random": ones},
        lambda: open_circuit.check_state(forged, points, _SILENCE),
        "quotient",
    )


def test_a_point_outside_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of order 3: coefficients that are all 0, or multiples of 3, never meet it."""
    points = np.concatenate([fixed_base_g1(scalars.random(40)), g1_from_points([stray_g1()])])
    assert not g1_in_subgroup([points])
    monkeypatch.setattr(subgroups, "_random_labels", lambda count, width: np.zeros(count, np.int32))
    assert g1_in_subgroup([points])


def test_errors_that_do_not_cancel_are_found_with_any_coins(
    open_powers: PowersCeremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the checks above are passed for what cancels, and not for coins that turn them off."""
    state, points = open_powers.verify().state, open_powers.chain().points
    arrays = state.arrays()
    forged = with_arrays(state, arrays | {"tau_g1": cancelling("tau_g1", 5, 9)(arrays)["tau_g1"]})
    spoilt = replace(forged, alpha_g1=np.roll(state.alpha_g1, 1, axis=0))
    monkeypatch.setattr("pvcnn.algebra.scalars.random", ones)
    with pytest.raises(VerificationError):
        open_powers.check_state(spoilt, points, _SILENCE)
