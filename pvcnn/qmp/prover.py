"""The prover: docs/protocol.md, eq. (10).

    A = alpha + sum z_i u_i + a delta,   B = beta + sum z_i v_i + b delta
    C = sum_priv z_i K_i/delta + h(tau) T(tau)/delta + b A + a B - a b delta - sum_s nu_s eta_s/delta

Zero-knowledge needs no honest setup: with [delta]1 and the blinding points checked (eq. (12)), A, B and
the D_s are uniform, and C is then the only value that verifies; so a proof that verifies, which the
prover makes sure of, is the same for every witness (docs/security-argument.md, Proposition 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.curve import g1_to_points, msm_g1, msm_g2
from pvcnn.algebra.ntt import Domain
from pvcnn.algebra.points import G1Point, G2Point, linear_combination_g1, random_scalar, scalar
from pvcnn.algebra.repeated import merge_repeated
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.qmp.applied_maps import derived_values
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.commitments import commit, commit_weights
from pvcnn.qmp.key_check import check_proving_key
from pvcnn.qmp.prepared_key import PreparedKey
from pvcnn.qmp.proof import Proof
from pvcnn.qmp.proving_key import ProvingKey, domain_size
from pvcnn.qmp.statement import Statement
from pvcnn.qmp.system import Circuit, ConstraintSystem, StageOne
from pvcnn.qmp.verifier import verify

#: Called after each step with its name and the seconds it took; `timings.__setitem__` is one.
Progress = Callable[[str, float], object]
#: Values of wires: small integers, or field elements where a test forces others.
WireValues = NDArray[np.int64] | ScalarVector

_checked_keys: WeakSet[ProvingKey] = WeakSet()


def prove_witness(
    key: ProvingKey,
    circuit: Circuit,
    stage_one: StageOne,
    context: bytes,
    weights_blinding: int,
    *,
    features_blinding: int | None = None,
    labels_blinding: int | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> Proof:
    """A proof, with its statement attached, that `stage_one` extends to a witness of `circuit`.

    `weights_blinding` is the model's nu_w, so that D_w comes out as in its verification key;
    `labels_blinding` the nu_lab of whoever committed to the labels, if there are any; `features_blinding`
    the nu_in of a commitment made before, if there is one. All other nu_s, a and b are fresh.

    Raises ValueError if the key is of another circuit or the context is too long, and VerificationError
    for a key that fails `check_proving_key`.

    With `check`, a witness that breaks a constraint raises ValueError naming the first one before any
    proof is made, and the finished proof is verified before it is returned. Without, a wrong witness
    yields a proof that is well formed and does not verify: for tests only.
    """
    step = _Steps(progress)
    system = circuit.system
    if key.segments != system.segments or key.domain_size != domain_size(system.constraints):
        raise ValueError("the proving key belongs to another circuit")
    if (labels_blinding is not None) != ("lab" in key.committed):
        raise ValueError("labels need the blinding of their commitment, and nothing else has one")
    with step("key check"):
        _check_once(key)
    with step("commit"):
        nu = {"in": _given_or_fresh(features_blinding), "w": weights_blinding, "aux": random_scalar()}
        features = commit(key, "in", stage_one.in_, nu["in"])
        weights = commit_weights(key, stage_one.w, nu["w"])
        auxiliary = commit(key, "aux", stage_one.aux, nu["aux"])
        labels = None
        if labels_blinding is not None:
            nu["lab"] = labels_blinding
            labels = commit(key, "lab", stage_one.lab, labels_blinding)
        statement = Statement(features, _output_values(stage_one.outputs), context, labels)
        verification_key = key.circuit_key.commit(weights)
        challenges = derive_challenges(verification_key, statement, auxiliary)
    with step("second stage"):
        derived = derived_values(system, stage_one)
        private = circuit.second_stage(stage_one, challenges, derived)
        witness = _Witness.of(stage_one, challenges, private)
    with step("constraints"):
        products = _matrix_products(system, np.concatenate([witness.wires, derived]))
        if check:
            _check_constraints(*products)
    with step("quotient"):
        # If the constraints don't hold, T does not divide A B - C and this is no quotient: the proof then
        # cannot verify.
        quotient = _domain(key.domain_size).quotient(*products)[:-1]
    with step("A, B"):
        a_blinding, b_blinding = random_scalar(), random_scalar()
        a, b_g1, b = _a_and_b(key, witness, a_blinding, b_blinding)
    with step("C"):
        c = msm_g1(*merge_repeated(key.private_g1, witness.private)) + msm_g1(key.quotient_g1, quotient)
        c += _blinding_of_c(key, a, b_g1, a_blinding, b_blinding, nu)
    proof = Proof(a, b, c, auxiliary, statement)
    if check:
        with step("self-check"):
            verify(verification_key, statement, proof)
    return proof


@dataclass(frozen=True)
class _Witness:
    """Every wire as a field element, and those of stage one as they were given (small integers)."""

    wires: ScalarVector
    stage_one: WireValues
    private: ScalarVector

    @classmethod
    def of(cls, stage_one: StageOne, challenges: tuple[int, int, int], private: ScalarVector) -> _Witness:
        segments: list[WireValues] = [*stage_one.in_order()]
        if any(values.dtype != np.int64 for values in segments):
            segments = [scalars.as_elements(values) for values in segments]
        given: NDArray[Any] = np.concatenate(segments)
        fixed = scalars.from_integers([1, *challenges])
        return cls(np.concatenate([fixed, scalars.as_elements(given), private]), given, private)

    def split(self, key: ProvingKey, wires: NDArray[np.int32]) -> tuple[WireValues, ScalarVector]:
        """The values of `wires` (`a_wires` or `b_wires` of `key`): those of stage one, and the rest."""
        count = key.stage_one_count(wires)
        first = len(self.wires) - len(self.private) - len(self.stage_one)
        return self.stage_one[wires[:count] - first], self.wires[wires[count:]]


def _given_or_fresh(blinding: int | None) -> int:
    return random_scalar() if blinding is None else blinding


def _output_values(outputs: WireValues) -> tuple[int, ...]:
    values = outputs if outputs.dtype == np.int64 else scalars.to_integers(scalars.as_elements(outputs))
    return tuple(int(value) for value in values)


def _check_once(key: ProvingKey) -> None:
    """`check_proving_key`, the first time that this process proves with `key`, if none has before."""
    if not isinstance(key, PreparedKey) and key not in _checked_keys:
        check_proving_key(key)
        _checked_keys.add(key)


@lru_cache(maxsize=4)
def _domain(size: int) -> Domain:
    """The domain with its tables of roots, kept from proof to proof."""
    return Domain(size)


Products = tuple[ScalarVector, ScalarVector, ScalarVector]


def _matrix_products(system: ConstraintSystem, columns: ScalarVector) -> Products:
    """A z, B z and C z, an element a constraint, for the values of all columns."""
    a, b, c = (matrix.checked.times(columns) for matrix in (system.a, system.b, system.c))
    return a, b, c


def _check_constraints(a_z: ScalarVector, b_z: ScalarVector, c_z: ScalarVector) -> None:
    broken = ~scalars.is_zero(scalars.subtract(scalars.multiply(a_z, b_z), c_z))
    if broken.any():
        raise ValueError(f"the witness breaks constraint {int(np.argmax(broken))}")


def _a_and_b(
    key: ProvingKey, witness: _Witness, a_blinding: int, b_blinding: int
) -> tuple[G1Point, G1Point, G2Point]:
    """A in G1, and B in G1 and in G2."""
    circuit_key = key.circuit_key
    beta, delta = _single(key.beta_g1), _single(key.delta_g1)
    small, full = witness.split(key, key.a_wires)
    count = len(small)
    a = msm_g1(key.u_g1[:count], small) + msm_g1(*merge_repeated(key.u_g1[count:], full))
    a += circuit_key.alpha_g1 + delta * scalar(a_blinding)
    small, full = witness.split(key, key.b_wires)
    count = len(small)
    b_g1 = msm_g1(key.v_g1[:count], small) + msm_g1(*merge_repeated(key.v_g1[count:], full))
    b_g1 += beta + delta * scalar(b_blinding)
    b_g2 = msm_g2(key.v_g2[:count], small) + msm_g2(*merge_repeated(key.v_g2[count:], full))
    b_g2 += circuit_key.beta_g2 + circuit_key.delta_g2 * scalar(b_blinding)
    return a, b_g1, b_g2


def _blinding_of_c(
    key: ProvingKey, a: G1Point, b_g1: G1Point, a_blinding: int, b_blinding: int, nu: dict[str, int]
) -> G1Point:
    """b A + a B - a b [delta]1 - sum_s nu_s [eta_s/delta]1."""
    points = [a, b_g1, _single(key.delta_g1), *g1_to_points(key.blinding_delta_g1)]
    factors = [b_blinding, a_blinding, -a_blinding * b_blinding, *(-nu[segment] for segment in key.committed)]
    return linear_combination_g1(points, factors)


def _single(rows: NDArray[np.uint64]) -> G1Point:
    point: G1Point = g1_to_points(rows)[0]
    return point


class _Steps:
    """Times the steps of a proof and tells `progress` about them."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._progress is not None:
            self._progress(name, time.perf_counter() - start)
