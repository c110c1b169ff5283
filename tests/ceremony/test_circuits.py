"""Circuits of every kind: committed weights, published ones, labels, several frames, random matrices.

What a ceremony of known secrets makes of them is what a single setup makes of their products.
"""

from __future__ import annotations

import numpy as np
import pytest

from pvcnn.algebra import scalars
from pvcnn.algebra.curve import fixed_base_g1
from pvcnn.ceremony.circuit import CircuitShape
from pvcnn.ceremony.circuit_check import check_circuit
from pvcnn.ceremony.circuit_keys import keys_of_state
from pvcnn.ceremony.circuit_start import start_circuit
from pvcnn.ceremony.description import CircuitDescription
from pvcnn.ceremony.knowledge import times
from pvcnn.ceremony.map_points import transposed_map_points
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.progress import Silence
from pvcnn.errors import VerificationError
from pvcnn.program.layers import Correct
from pvcnn.program.program import Program
from pvcnn.program.windows import Windows
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.setup import Trapdoors, keys_of_trapdoors
from pvcnn.qmp.system import ConstraintSystem
from tests.program.test_linear_maps import GEOMETRIES, example
from tests.qmp.circuits import DotProduct
from tests.qmp.programs import small_case

SILENCE = Silence()
SMALL = small_case()
PUBLISHED = compile_program(SMALL.program, 1, published=SMALL.weights)
LABELS = compile_program(Program.chain((3,), -8, 7, (Correct("correct"),)), 3)

SYSTEMS = {
    "hand-made": DotProduct(3).system,
    "every gadget": compile_program(SMALL.program, 1).system,
    "published weights": PUBLISHED.system,
    "labels": LABELS.system,
}
systems = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)


def domain_log2(system: ConstraintSystem) -> int:
    return CircuitShape.of(system).domain.bit_length() - 1


def description(system: ConstraintSystem) -> CircuitDescription:
    nothing = bytes(32)
    return CircuitDescription(nothing, nothing, 3, b"", system.segments.committed, nothing, nothing)


@systems
def test_the_keys_of_known_secrets(system: ConstraintSystem) -> None:
    secrets = dict(zip(("tau", "alpha", "beta", "a", "b"), range(1001, 1006), strict=True))
    powers = PowersState.initial(domain_log2(system), 2).times(secrets, SILENCE)
    base, state = start_circuit(system, powers, SILENCE)
    given = description(system)
    own = {secret.name: 2001 + i for i, secret in enumerate(given.secrets)}
    state = state.times(own, SILENCE)
    ratios = given.ratios(own)
    points = {secret.name: times(secret.generator, ratios[secret.name]) for secret in given.secrets}
    check_circuit(system, powers, base, state, points, SILENCE)
    trapdoors = Trapdoors(
        **{name: secrets[name] for name in ("alpha", "beta", "tau")},
        delta=own["delta"],
        gamma={segment: own[f"gamma_{segment}"] for segment in given.visible},
        eta={segment: own[f"eta_{segment}"] for segment in given.committed},
    )
    expected, _ = keys_of_trapdoors(system, bytes(32), 3, trapdoors)
    assert keys_of_state(powers, base, state, given).to_bytes() == expected.to_bytes()


@systems
def test_every_wire_counts(system: ConstraintSystem) -> None:
    """With one entry of a matrix or of a map's argument changed, the keys are refused."""
    powers = PowersState.initial(domain_log2(system), 2).times(
        {"tau": 7, "alpha": 8, "beta": 9, "a": 10, "b": 11}, SILENCE
    )
    base, state = start_circuit(system, powers, SILENCE)
    points = {secret.name: secret.generator for secret in description(system).secrets}
    for matrix in (system.a, system.b, system.c, *(each.argument for each in system.applied)):
        for place in {0, len(matrix.coefficients) - 1}:
            matrix.coefficients[place] += 3
            vars(matrix).pop("checked", None)
            try:
                with pytest.raises(VerificationError, match="keys: "):
                    check_circuit(system, powers, base, state, points, SILENCE)
            finally:
                matrix.coefficients[place] -= 3
                vars(matrix).pop("checked", None)
    check_circuit(system, powers, base, state, points, SILENCE)


def test_published_weights_have_no_points() -> None:
    system = SYSTEMS["published weights"]
    assert system.applied
    assert dict(CircuitShape.of(system).visible)["w"] == 0


def test_labels_have_secrets_of_their_own() -> None:
    names = [secret.name for secret in description(SYSTEMS["labels"]).secrets]
    assert {"gamma_lab", "eta_lab"} < set(names)


@pytest.mark.parametrize(("windows", "groups"), GEOMETRIES)
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_transposed_maps(windows: Windows, groups: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the map itself, on the points' logarithms, whatever the size of a block."""
    monkeypatch.setattr("pvcnn.ceremony.map_points._BLOCK", block * 200)
    linear_map = example(windows, groups)
    logarithms = np.random.default_rng(groups).integers(-1000, 1000, (2, *linear_map.outputs))
    found = transposed_map_points(linear_map, fixed_base_g1(scalars.from_int64(logarithms)))
    expected = linear_map.transposed_times(logarithms)
    assert (found == fixed_base_g1(scalars.from_int64(expected))).all()
