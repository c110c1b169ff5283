"""What hides the owner's answers, expanded from a seed, so that an auditor can make the same answer again.

Evaluation itself is deterministic. What `Evaluator.hide` adds is not: an encryption of zero and flooding
noise. Both follow from 32 secret bytes here: for different seeds they are independent, since SHAKE-256
expands them. A seed serves one ciphertext: the difference of two answers that share one shows the difference
of both evaluations without what should hide it.

SEAL samples the encryption of zero itself, from a generator that is seeded. It draws at the level above the
answer's and divides by the prime that falls away, so a context of these primes alone gives, coefficient by
coefficient, what the plan's whole chain would, as a ciphertext that the plan's context takes for its own: its
primes name a level. Each expansion makes such a context anew: a generator that has been used starts again for
the next ciphertext.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.he.checks import ANSWER_PRIMES, COMPONENTS
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.flooding import flooding_noise, flooding_octets
from pvcnn.he.keyed_plan import KeyedPlan
from pvcnn.he.keys import PublicKey
from pvcnn.he.residues import Residues, expand
from pvcnn.he.streams import ciphertext_stream, coefficients, load

SEED_BYTES = 32
_SEAL_SEED_WORDS = 8


@dataclass(frozen=True, eq=False)
class AnswerRandomness:
    """Secret until an audit shows it.

    zero       (2, primes, degree) residues of an encryption of zero at the answer's level
    flooding   (slots,) noise in the units of features
    """

    zero: Residues = field(repr=False)
    flooding: NDArray[np.complex128] = field(repr=False)


class RandomnessExpander:
    """Expands seeds under one plan and public key (docs/protocol.md, section "Audits")."""

    def __init__(self, plan: EncryptionPlan, public_key: PublicKey) -> None:
        self._plan = plan
        self._zeros = EncryptionsOfZero(plan, public_key)

    def expand(self, seed: bytes) -> AnswerRandomness:
        """What hides one ciphertext. Raises ValueError for a seed that does not have SEED_BYTES."""
        octets = flooding_stream(seed, flooding_octets(self._plan))
        zero = coefficients(self._zeros.expand(seed), (COMPONENTS, ANSWER_PRIMES, self._plan.degree))
        return AnswerRandomness(zero, flooding_noise(self._plan, octets))


class EncryptionsOfZero:
    """Encryptions of zero at the level of answers, each from a seed, under one plan and public key."""

    def __init__(self, plan: KeyedPlan, public_key: PublicKey) -> None:
        self._plan = plan
        self._moduli = plan.moduli[: ANSWER_PRIMES + 1]
        uniform = expand(public_key.seed, 0, plan.degree, self._moduli)
        self._key = np.stack([public_key.body[: ANSWER_PRIMES + 1], uniform])

    def expand(self, seed: bytes) -> seal.Ciphertext:
        """One of the plan's context, at scale 1. Raises ValueError for a seed of other than SEED_BYTES."""
        words = struct.unpack(
            f"<{_SEAL_SEED_WORDS}Q", _stream(b"pvcnn/encryption-of-zero", seed, 8 * _SEAL_SEED_WORDS)
        )
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        parameters.set_poly_modulus_degree(self._plan.degree)
        parameters.set_coeff_modulus([seal.Modulus(modulus) for modulus in self._moduli])
        parameters.set_random_generator(seal.Shake256PRNGFactory(list(words)))
        context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
        public_key, zero = seal.PublicKey(), seal.Ciphertext()
        load(public_key, context, ciphertext_stream(context.key_parms_id(), 1.0, self._key))
        seal.Encryptor(context, public_key).encrypt_zero(context.first_parms_id(), zero)
        return zero


def flooding_stream(seed: bytes, length: int) -> bytes:
    """The octets of flooding noise. Raises ValueError for a seed that does not have SEED_BYTES."""
    return _stream(b"pvcnn/flooding-noise", seed, length)


def _stream(domain: bytes, seed: bytes, length: int) -> bytes:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return hashlib.shake_256(domain + seed).digest(length)
