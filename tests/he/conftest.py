"""One set of keys for all tests of the small part: making keys takes a second."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.he.answer_randomness import SEED_BYTES
from pvcnn.he.decryption import decrypt_features, decrypt_slots
from pvcnn.he.encryption import encrypt_frame
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.keys import EvaluationKeys, PublicKey, SecretKey, generate
from pvcnn.he.parameters import FEATURE_LIMIT, plan
from pvcnn.program.private import PrivatePart
from tests.he.parts import cubic_block, random_frame, small_part, two_blocks


@dataclass(frozen=True, eq=False)
class Roles:
    """Everything that tester, owner and cluster hold for one private part."""

    private: PrivatePart
    plan: EncryptionPlan
    secret_key: SecretKey
    public_key: PublicKey
    evaluation_keys: EvaluationKeys
    evaluator: Evaluator

    @classmethod
    def of(cls, private: PrivatePart, feature_limit: int = FEATURE_LIMIT) -> Roles:
        encryption_plan = plan(private, feature_limit)
        secret, public, evaluation = generate(encryption_plan)
        evaluator = Evaluator(encryption_plan, public, evaluation, private)
        return cls(private, encryption_plan, secret, public, evaluation, evaluator)

    def encrypt(self, frame: NDArray[np.float64]) -> bytes:
        return encrypt_frame(self.plan, self.public_key, frame)

    def evaluate(self, upload: bytes) -> bytes:
        """An answer under a seed of its own."""
        return self.evaluator.evaluate(upload, secrets.token_bytes(SEED_BYTES))

    def decrypt(self, answer: bytes) -> NDArray[np.float64]:
        return decrypt_features(self.plan, self.secret_key, answer)

    def slots(self, answer: bytes) -> NDArray[np.complex128]:
        return decrypt_slots(self.plan, self.secret_key, answer)


@pytest.fixture(scope="session")
def small() -> Roles:
    return Roles.of(small_part())


@pytest.fixture(scope="session")
def deep() -> Roles:
    """Two blocks, the second on multiplexed slots; takes a few seconds."""
    return Roles.of(two_blocks())


@pytest.fixture(scope="session")
def cubic() -> Roles:
    """A polynomial of degree three between convolution and pooling."""
    return Roles.of(*cubic_block())


@pytest.fixture(scope="session")
def frame() -> NDArray[np.float64]:
    return random_frame((1, 16, 16))


@pytest.fixture(scope="session")
def upload(small: Roles, frame: NDArray[np.float64]) -> bytes:
    return small.encrypt(frame)


@pytest.fixture(scope="session")
def answer(small: Roles, upload: bytes) -> bytes:
    return small.evaluate(upload)
