"""A secret key that an auditor is shown is the public key's, and no other that decrypts as one likes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.errors import VerificationError
from pvcnn.he.checks import features_content, read_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.key_opening import check_evaluation_keys, check_secret_key
from pvcnn.he.keys import EvaluationKeys, SecretKey
from pvcnn.he.residues import Residues, add, expand, multiply, subtract
from tests.he.conftest import Roles
from tests.he.parts import random_frame


def test_the_right_key_passes(small: Roles) -> None:
    check_secret_key(small.plan, small.public_key, small.secret_key)


def refused(small: Roles, polynomial: Residues) -> None:
    key = SecretKey(small.plan.digest, polynomial)
    with pytest.raises(VerificationError, match="not that of the encryption key"):
        check_secret_key(small.plan, small.public_key, key)


def test_another_key_of_small_coefficients_is_refused(small: Roles) -> None:
    polynomial = small.secret_key.polynomial
    refused(small, subtract(np.zeros_like(polynomial), polynomial, small.plan.moduli))


def inverse(residues: Residues, modulus: int) -> Residues:
    """(degree,) inverses modulo a prime."""
    return np.array([pow(int(value), -1, modulus) for value in residues], np.uint64)


def test_a_key_made_to_decrypt_an_answer_at_will_is_refused(small: Roles, answer: bytes) -> None:
    """s' = s + t with t c1 = what is to be added to the message: a dishonest cluster's opening."""
    content, moduli = features_content(small.plan), small.plan.moduli[:1]
    context = open_context(small.plan)
    (pair,) = read_ciphertexts(small.plan, content, context.parms_id(1), answer)
    wanted = context.encode(np.full(small.plan.slot_count, 0.5 + 0.5j), 1, small.plan.scale)
    added = np.array([[wanted[i] for i in range(small.plan.degree)]], np.uint64)
    shift = multiply(added, inverse(pair[1, 0], moduli[0])[None], moduli)
    forged = small.secret_key.polynomial.copy()
    forged[:1] = add(forged[:1], shift, moduli)
    key = SecretKey(small.plan.digest, forged)
    features = small.decrypt(answer) + 0.5
    assert abs(replace(small, secret_key=key).decrypt(answer) - features).max() < 1e-3
    refused(small, forged)


def test_a_key_that_fits_the_public_key_alone_is_refused(small: Roles) -> None:
    """s' = s + 1/a: b + a s' is small, but s' is not."""
    plan, moduli = small.plan, small.plan.moduli[:1]
    uniform = expand(small.public_key.seed, 0, plan.degree, moduli)
    forged = small.secret_key.polynomial.copy()
    forged[:1] = subtract(forged[:1], inverse(uniform[0], moduli[0])[None], moduli)
    refused(small, forged)


def test_a_secret_key_that_is_another_modulo_one_prime_is_refused(small: Roles) -> None:
    """Small modulo each, and the residues of no small polynomial."""
    for row in range(len(small.plan.moduli)):
        forged, moduli = small.secret_key.polynomial.copy(), small.plan.moduli[row : row + 1]
        forged[row : row + 1] = add(forged[row : row + 1], np.ones_like(forged[:1]), moduli)
        refused(small, forged)


@pytest.mark.parametrize("which", ["small", "deep"])
def test_the_right_evaluation_keys_pass(which: str, request: pytest.FixtureRequest) -> None:
    roles: Roles = request.getfixturevalue(which)
    check_evaluation_keys(roles.plan, roles.evaluation_keys, roles.secret_key)


def with_error(roles: Roles, number: int, error: int, rows: slice = slice(None)) -> EvaluationKeys:
    """Of the first digit of key `number`: a constant more, in the residues modulo the primes in `rows`."""
    bodies = [body.copy() for body in roles.evaluation_keys.bodies]
    moduli = roles.plan.key_moduli(roles.plan.keys[number])[rows]
    bodies[number][0, rows] = add(
        bodies[number][0, rows], np.full_like(bodies[number][0, rows], error), moduli
    )
    return replace(roles.evaluation_keys, bodies=tuple(bodies))


def test_keys_made_to_move_features_are_refused(small: Roles) -> None:
    """One feature of every answer moves far, most by next to nothing; answers are what these keys give."""
    forged = with_error(small, 2, 1 << 40)
    evaluator = Evaluator(small.plan, small.public_key, forged, small.private)
    places = set()
    for seed in range(3):
        upload = small.encrypt(random_frame((1, 16, 16), seed))
        moved = small.decrypt(evaluator.evaluate(upload, bytes(32))) - small.decrypt(small.evaluate(upload))
        steps = np.sort(np.abs(moved / small.plan.feature_step).ravel())
        assert steps[-1] > 100 > 10 * steps[len(steps) // 2]
        places.add(int(np.abs(moved).argmax()))
    assert len(places) == 1
    check_secret_key(small.plan, small.public_key, small.secret_key)
    with pytest.raises(
        VerificationError, match=f"evaluation key of {small.plan.keys[2].element} was not made"
    ):
        check_evaluation_keys(small.plan, forged, small.secret_key)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(-1, None)])
def test_keys_that_are_others_modulo_one_prime_are_refused(small: Roles, rows: slice) -> None:
    for number in range(len(small.plan.keys)):
        forged = with_error(small, number, 1, rows)
        with pytest.raises(VerificationError, match="was not made with"):
            check_evaluation_keys(small.plan, forged, small.secret_key)


def test_keys_in_each_others_places_are_refused(small: Roles) -> None:
    bodies = small.evaluation_keys.bodies
    forged = replace(small.evaluation_keys, bodies=(*bodies[:-2], bodies[-1], bodies[-2]))
    with pytest.raises(VerificationError, match="was not made with"):
        check_evaluation_keys(small.plan, forged, small.secret_key)
