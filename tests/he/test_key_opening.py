"""A secret key that an auditor is shown is the public key's, and no other that decrypts as one likes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pvcnn.errors import VerificationError
from pvcnn.he.checks import features_content, read_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.key_opening import check_secret_key
from pvcnn.he.keys import SecretKey
from pvcnn.he.residues import Residues, add, expand, multiply, subtract
from tests.he.conftest import Roles


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
