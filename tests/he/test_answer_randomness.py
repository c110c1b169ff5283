"""What hides answers follows from a seed, is what SEAL itself would draw, and nothing else decides it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tenseal.sealapi as seal

from pvcnn.he.answer_randomness import SEED_BYTES, RandomnessExpander, _stream
from pvcnn.he.context import open_context
from pvcnn.he.streams import ciphertext_stream, coefficients, load
from tests.he.conftest import Roles

SEED = bytes(range(SEED_BYTES))


def test_the_same_seed_gives_the_same_answer(small: Roles, upload: bytes) -> None:
    first, second = (small.evaluator.evaluate(upload, SEED) for _ in range(2))
    assert first == second
    again = Roles(
        small.private,
        small.plan,
        small.secret_key,
        small.public_key,
        small.evaluation_keys,
        type(small.evaluator)(small.plan, small.public_key, small.evaluation_keys, small.private),
    )
    assert again.evaluator.evaluate(upload, SEED) == first


@pytest.mark.parametrize("bit", [0, 100, 255])
def test_every_bit_of_a_seed_changes_all(small: Roles, bit: int) -> None:
    expander = RandomnessExpander(small.plan, small.public_key)
    other = bytearray(SEED)
    other[bit // 8] ^= 1 << bit % 8
    one, two = expander.expand(SEED), expander.expand(bytes(other))
    assert (one.zero == two.zero).mean() < 1e-3
    assert (one.flooding == two.flooding).mean() < 1e-3


@pytest.mark.parametrize("length", [0, 31, 33])
def test_seeds_have_one_length(small: Roles, length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RandomnessExpander(small.plan, small.public_key).expand(bytes(length))


def test_zero_is_what_seal_draws_in_the_whole_chain(small: Roles) -> None:
    """A context of the last primes alone changes nothing but the time it takes."""
    plan = small.plan
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(plan.degree)
    parameters.set_coeff_modulus([seal.Modulus(modulus) for modulus in plan.moduli])
    words = struct.unpack("<8Q", _stream(b"pvcnn/encryption-of-zero", SEED, 64))
    parameters.set_random_generator(seal.Shake256PRNGFactory(list(words)))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    key, zero = seal.PublicKey(), seal.Ciphertext()
    unseeded = small.public_key.load(open_context(plan))
    pair = coefficients(unseeded.data(), (2, len(plan.moduli), plan.degree))
    load(key, context, ciphertext_stream(context.key_parms_id(), 1.0, pair))
    seal.Encryptor(context, key).encrypt_zero(context.last_parms_id(), zero)
    found = RandomnessExpander(plan, small.public_key).expand(SEED).zero
    np.testing.assert_array_equal(found, coefficients(zero, found.shape))


def test_zero_decrypts_to_almost_nothing(small: Roles) -> None:
    context = open_context(small.plan)
    zero = RandomnessExpander(small.plan, small.public_key).expand(SEED).zero
    plaintext = seal.Plaintext()
    decryptor = seal.Decryptor(context.seal, small.secret_key.load(context))
    decryptor.decrypt(context.ciphertext(zero, 1, small.plan.scale), plaintext)
    assert 0 < abs(context.decode(plaintext)).max() < small.plan.feature_step / 2**small.plan.flooding_bits
