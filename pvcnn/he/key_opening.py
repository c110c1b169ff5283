"""Whether a secret key is that of a public key: what the cluster shows when it is audited.

Without the check a cluster could open an answer to any features. One ciphertext (c0, c1) decrypts to any
message m under s = (m - c0) / c1, whose coefficients are large; and for any s of small coefficients, b + a s
is large unless b was made with it. Both are looked at modulo the primes at which answers are decrypted. As
`a` is expanded from a seed, no two such keys fit one b: there are 5^degree differences of keys, and a times
one of them has small coefficients with a probability of (4 MAX_ERROR + 1)^degree over that of the modulus.
"""

from __future__ import annotations

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import VerificationError
from pvcnn.he.checks import ANSWER_PRIMES
from pvcnn.he.context import EncryptionContext, open_context
from pvcnn.he.keyed_plan import KeyedPlan
from pvcnn.he.keys import PublicKey, SecretKey
from pvcnn.he.residues import Residues, add, expand, multiply
from pvcnn.he.streams import load, secret_key_stream

#: SEAL's errors are of standard deviation 3.2 and cut off at six of them.
MAX_ERROR = 21
#: Of coefficients that come out of a transform in double precision, where they are small integers.
_TOLERANCE = 2.0**-10


def check_secret_key(plan: KeyedPlan, public_key: PublicKey, secret_key: SecretKey) -> None:
    """Raises VerificationError unless the secret key is the one that the public key was made with."""
    primes = ANSWER_PRIMES
    moduli = plan.moduli[:primes]
    context = open_context(plan)
    secret = secret_key.polynomial[:primes]
    uniform = expand(public_key.seed, 0, plan.degree, moduli)
    error = add(public_key.body[:primes], multiply(uniform, secret, moduli), moduli)
    for polynomial, bound in ((secret, 1), (error, MAX_ERROR)):
        found = _coefficients(context, polynomial)
        off = np.abs(found - np.rint(found)).max()
        if not (np.abs(found).max() <= bound + _TOLERANCE and off <= _TOLERANCE):
            raise VerificationError("the secret key is not that of the encryption key on the cluster's card")


def _coefficients(context: EncryptionContext, transformed: Residues) -> NDArray[np.float64]:
    """(degree,) integer coefficients, exact where they are small, of (primes, degree) transformed residues.

    SEAL decodes to the values at the roots e^(i pi 3^k / degree), whose conjugates are the other half.
    """
    degree = context.plan.degree
    plaintext = seal.Plaintext()
    stream = secret_key_stream(context.parms_id(len(transformed)), transformed)
    load(plaintext, context.seal, stream)
    slots = context.decode(plaintext)
    exponents = np.array([pow(3, k, 2 * degree) for k in range(degree // 2)])
    values = np.zeros(2 * degree, np.complex128)
    values[exponents] = slots
    values[2 * degree - exponents] = slots.conj()
    found: NDArray[np.float64] = np.fft.fft(values)[:degree].real / degree
    return found
