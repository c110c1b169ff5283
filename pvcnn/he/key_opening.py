"""Whether keys were made with a secret key as they should be: what the cluster shows when it is audited.

Without the check of the secret key a cluster could open an answer to any features. One ciphertext (c0, c1)
decrypts to any message m under s = (m - c0) / c1, whose coefficients are large; and for any s of small
coefficients, b + a s is large unless b was made with it. As `a` is expanded from a seed, no two such keys fit
one b: there are 5^degree differences of keys, and a times one of them has small coefficients with a
probability of (4 MAX_ERROR + 1)^degree over that of the modulus.

Without the check of the evaluation keys it could move features. Key switching multiplies a key's errors with
digits that lie in [0, q_i), whose mean is not zero: an error that is larger than it should be adds nearly the
same to every answer, in the slots whose roots are next to 1.

All is looked at modulo all primes together, the key-switching prime included.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import VerificationError
from pvcnn.he.context import parms_ids
from pvcnn.he.keyed_plan import KeyedPlan
from pvcnn.he.keys import EvaluationKeys, PublicKey, SecretKey
from pvcnn.he.primes import MAX_PRIME_BITS, transform_primes
from pvcnn.he.residues import Residues, add, expand, multiply, subtract
from pvcnn.he.streams import load, secret_key_stream

#: SEAL's errors are of standard deviation 3.2 and cut off at six of them.
MAX_ERROR = 21
#: Of coefficients that come out of a transform in double precision, where they are small integers.
_TOLERANCE = 2.0**-10


def check_secret_key(plan: KeyedPlan, public_key: PublicKey, secret_key: SecretKey) -> None:
    """Raises VerificationError unless the secret key is the one that the public key was made with."""
    secret, moduli = secret_key.polynomial, plan.moduli
    uniform = expand(public_key.seed, 0, plan.degree, moduli)
    error = add(public_key.body, multiply(uniform, secret, moduli), moduli)
    if not (_is_small(plan, secret, 1) and _is_small(plan, error, MAX_ERROR)):
        raise VerificationError("the secret key is not that of the encryption key on the cluster's card")


def check_evaluation_keys(plan: KeyedPlan, keys: EvaluationKeys, secret_key: SecretKey) -> None:
    """Takes a hundredth of a second for each digit. `check_secret_key` comes first.

    Raises VerificationError unless each key takes to the secret key what its Galois element makes of it, or
    its square, with errors no larger than SEAL's.
    """
    first = 0
    for key, body in zip(plan.keys, keys.bodies, strict=True):
        rows, moduli = [*range(key.primes), len(plan.moduli) - 1], plan.key_moduli(key)
        secret = secret_key.polynomial[rows]
        if key.element:
            taken = secret[:, _automorphism(plan.degree, key.element)]
        else:
            taken = multiply(secret, secret, moduli)
        for digit, pair in enumerate(body):
            uniform = expand(keys.seed, first + digit, plan.degree, moduli)
            error = add(pair, multiply(uniform, secret, moduli), moduli)
            own = moduli[digit : digit + 1]
            special = np.full((1, plan.degree), moduli[-1] % own[0], np.uint64)
            transported = multiply(taken[digit : digit + 1], special, own)
            error[digit : digit + 1] = subtract(error[digit : digit + 1], transported, own)
            if not _is_small(plan, error, MAX_ERROR):
                raise VerificationError(
                    f"the evaluation key of {key.element} was not made with the cluster's secret key"
                )
        first += len(body)


def _automorphism(degree: int, element: int) -> NDArray[np.int64]:
    """(degree,) where the transform of p(X^element) takes its values in that of p, in SEAL's order."""
    bits = degree.bit_length() - 1
    numbers = np.arange(degree, dtype=np.int64)
    order = np.zeros(degree, np.int64)  # place i holds the value at the root's power 2 order[i] + 1
    for bit in range(bits):
        order |= (numbers >> bit & 1) << (bits - 1 - bit)
    found: NDArray[np.int64] = order[(element * (2 * order + 1) % (2 * degree)) >> 1]
    return found


def _is_small(plan: KeyedPlan, transformed: Residues, bound: int) -> bool:
    """Whether residues modulo the first data primes and the key-switching prime are those of a polynomial
    whose coefficients are integers of at most `bound`."""
    found = _Chain.of(plan).coefficients(np.concatenate([transformed[-1:], transformed[:-1]]))
    off = np.abs(found - np.rint(found)).max()
    return bool(np.abs(found).max() <= bound + _TOLERANCE and off <= _TOLERANCE)


class _Chain:
    """The primes with the key-switching one first, so that SEAL decodes modulo all of them.

    Nothing is encrypted under it: one prime more stands where SEAL wants one that is for keys alone.
    """

    def __init__(self, plan: KeyedPlan) -> None:
        self._degree = plan.degree
        moduli = (plan.moduli[-1], *plan.data_moduli)
        unused = transform_primes(plan.degree, (MAX_PRIME_BITS,) * (len(moduli) + 1))
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        parameters.set_poly_modulus_degree(plan.degree)
        chain = (*moduli, next(prime for prime in unused if prime not in moduli))
        parameters.set_coeff_modulus([seal.Modulus(modulus) for modulus in chain])
        self._context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.NONE)
        self._encoder = seal.CKKSEncoder(self._context)
        self._parms_ids = parms_ids(self._context, len(moduli))
        exponents = np.array([pow(3, k, 2 * plan.degree) for k in range(plan.degree // 2)])
        self._roots = exponents, 2 * plan.degree - exponents

    @staticmethod
    @lru_cache(maxsize=2)
    def of(plan: KeyedPlan) -> _Chain:
        return _Chain(plan)

    def coefficients(self, transformed: Residues) -> NDArray[np.float64]:
        """(degree,) integer coefficients, exact where they are small, of (primes, degree) residues.

        SEAL decodes to the values at the roots e^(i pi 3^k / degree), whose conjugates are the other half.
        """
        plaintext = seal.Plaintext()
        load(plaintext, self._context, secret_key_stream(self._parms_ids[len(transformed)], transformed))
        slots = np.array(self._encoder.decode_complex(plaintext), np.complex128)
        values = np.zeros(2 * self._degree, np.complex128)
        values[self._roots[0]] = slots
        values[self._roots[1]] = slots.conj()
        found: NDArray[np.float64] = np.fft.fft(values)[: self._degree].real / self._degree
        return found
