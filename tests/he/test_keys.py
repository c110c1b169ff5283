"""Keys: sizes, encodings, and that the seed stands for what it should."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import tenseal.sealapi as seal

from pvcnn.encoding import encode
from pvcnn.errors import DecodeError
from pvcnn.he.context import open_context
from pvcnn.he.decryption import decrypt_features
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey, SecretKey, generate
from pvcnn.he.parameters import plan
from pvcnn.he.residues import expand
from tests.he.conftest import Roles
from tests.he.parts import random_frame, small_part

Key = SecretKey | PublicKey | EvaluationKeys


def keys_of(small: Roles) -> list[Key]:
    return [small.secret_key, small.public_key, small.evaluation_keys]


def test_round_trip(small: Roles) -> None:
    for key in keys_of(small):
        data = key.to_bytes(small.plan)
        assert type(key).from_bytes(small.plan, data).to_bytes(small.plan) == data


def test_sizes(small: Roles) -> None:
    bits = sum(small.plan.chain_bits) * small.plan.degree // 8
    assert len(small.public_key.to_bytes(small.plan)) < bits + 200
    whole = len(small.plan.keys) * len(small.plan.data_moduli) * bits
    assert len(small.evaluation_keys.to_bytes(small.plan)) < 0.95 * whole, "unused digits are left out"


def test_decoded_keys_work(small: Roles) -> None:
    frame = random_frame((1, 16, 16))
    again = [type(key).from_bytes(small.plan, key.to_bytes(small.plan)) for key in keys_of(small)]
    secret, public, evaluation = again
    assert isinstance(secret, SecretKey)
    assert isinstance(public, PublicKey)
    assert isinstance(evaluation, EvaluationKeys)
    evaluator = Evaluator(small.plan, public, evaluation, small.private)
    answer = evaluator.evaluate(encrypt_frame(small.plan, public, frame), bytes(32))
    found = decrypt_features(small.plan, secret, answer)
    reference = small.decrypt(small.evaluate(small.encrypt(frame)))
    assert abs(found - reference).max() < small.plan.feature_step / 2


def test_pairs_are_what_they_claim_to_be(small: Roles) -> None:
    """b + a s is a small error for the a of the seed, and anything at all for another a."""
    context = open_context(small.plan)
    decryptor = seal.Decryptor(context.seal, small.secret_key.load(context))
    primes = len(small.plan.data_moduli)

    def size(seed: bytes) -> float:
        a = expand(seed, 0, small.plan.degree, small.plan.moduli)
        pair = np.stack([small.public_key.body, a])[:, :primes]
        plaintext = seal.Plaintext()
        decryptor.decrypt(context.ciphertext(pair, primes, 1.0), plaintext)
        return float(abs(context.decode(plaintext)).max())

    assert size(small.public_key.seed) < 1e4
    assert size(b"\0" * 32) > 1e20


def test_two_generations_differ(small: Roles) -> None:
    secret, public, _ = generate(small.plan)
    assert (secret.polynomial != small.secret_key.polynomial).any()
    assert public.seed != small.public_key.seed


def test_no_public_artefact_holds_the_secret_key(small: Roles, upload: bytes, answer: bytes) -> None:
    public = [
        small.plan.to_bytes(),
        small.public_key.to_bytes(small.plan),
        small.evaluation_keys.to_bytes(small.plan),
        upload,
        answer,
    ]
    packed = small.secret_key.to_bytes(small.plan)
    rows = [row.tobytes() for row in small.secret_key.polynomial]
    for secret in [packed, *rows]:
        for start in range(100, len(secret) - 64, len(secret) // 50):
            piece = secret[start : start + 24]
            for data in public:
                assert piece not in data
                assert base64.b64encode(piece) not in data


def test_secret_key_is_not_printed(small: Roles) -> None:
    for key in keys_of(small):
        assert "array" not in repr(key)


def test_keys_of_another_plan_are_refused(small: Roles) -> None:
    other = plan(small_part(), 1 << 9)
    for key in keys_of(small):
        with pytest.raises(DecodeError, match="another encryption plan"):
            type(key).from_bytes(other, key.to_bytes(small.plan))


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_hostile_keys(small: Roles, kind: int) -> None:
    key = keys_of(small)[kind]
    data = key.to_bytes(small.plan)
    rng = np.random.default_rng(kind)
    for hostile in (b"", data[:-1], data + b"\0", rng.bytes(1000), data[:100], b"\xff" * len(data)):
        with pytest.raises(DecodeError):
            type(key).from_bytes(small.plan, hostile)


def test_key_with_a_coefficient_that_is_not_reduced(small: Roles) -> None:
    data = small.public_key.to_bytes(small.plan)
    length = sum(small.plan.chain_bits) * small.plan.degree // 8
    fields = {"plan": small.plan.digest, "seed": b"s" * 32}
    with pytest.raises(DecodeError, match="not below its prime"):
        PublicKey.from_bytes(
            small.plan, encode("pvcnn-encryption-public-key", 1, {**fields, "body": b"\xff" * length})
        )
    assert len(data) > length


@pytest.mark.parametrize("bodies", [[], [[]], [[1]], ["x"], [[b""]]])
def test_malformed_evaluation_keys(small: Roles, bodies: list[object]) -> None:
    full = bodies * len(small.plan.keys)
    for shape in (bodies, full):
        fields = {"plan": small.plan.digest, "seed": b"s" * 32, "bodies": shape}
        with pytest.raises(DecodeError):
            EvaluationKeys.from_bytes(small.plan, encode("pvcnn-encryption-evaluation-keys", 1, fields))
