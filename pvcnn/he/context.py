"""SEAL's context for a plan, and the way in and out of it for ciphertexts and plaintexts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import ParameterError
from pvcnn.he.keyed_plan import KeyedPlan
from pvcnn.he.residues import Residues
from pvcnn.he.streams import ciphertext_stream, coefficients, load


def parms_ids(context: seal.SEALContext, primes: int) -> dict[int, list[int]]:
    """SEAL's identifier of each level, by how many of its `primes` data primes are left."""
    found, data = {}, context.first_context_data()
    for left in range(primes, 0, -1):
        found[left] = data.parms_id()
        data = data.next_context_data()
    return found


class EncryptionContext:
    """One plan's SEAL objects that hold no key: context, encoder, evaluator, identifiers of levels."""

    def __init__(self, plan: KeyedPlan) -> None:
        """Raises ParameterError if SEAL does not take the plan's parameters as 128-bit secure."""
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        parameters.set_poly_modulus_degree(plan.degree)
        parameters.set_coeff_modulus([seal.Modulus(modulus) for modulus in plan.moduli])
        self.plan = plan
        self.seal = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
        # The constructor does not raise on insecure parameters.
        if not self.seal.parameters_set():
            raise ParameterError(f"SEAL refuses the parameters: {self.seal.parameters_error_message()}")
        self.encoder = seal.CKKSEncoder(self.seal)
        self.evaluator = seal.Evaluator(self.seal)
        self.key_parms_id: list[int] = self.seal.key_parms_id()
        self._parms_ids = parms_ids(self.seal, len(plan.data_moduli))

    def parms_id(self, primes: int) -> list[int]:
        """SEAL's identifier of the level at which `primes` data primes are left."""
        return self._parms_ids[primes]

    def encode(
        self, slots: NDArray[np.float64] | NDArray[np.complex128], primes: int, scale: float
    ) -> seal.Plaintext:
        """A plaintext of at most degree / 2 values, real or complex."""
        plaintext = seal.Plaintext()
        self.encoder.encode(slots.tolist(), self.parms_id(primes), scale, plaintext)
        return plaintext

    def decode(self, plaintext: seal.Plaintext) -> NDArray[np.complex128]:
        """(slots,) of a decrypted plaintext."""
        return np.array(self.encoder.decode_complex(plaintext), np.complex128)

    def ciphertext(self, components: Residues, primes: int, scale: float) -> seal.Ciphertext:
        """A ciphertext of checked residues, (components, primes, degree)."""
        ciphertext = seal.Ciphertext()
        load(ciphertext, self.seal, ciphertext_stream(self.parms_id(primes), scale, components))
        return ciphertext

    def components(self, ciphertext: seal.Ciphertext) -> Residues:
        """(components, primes, degree) residues of a ciphertext."""
        shape = (ciphertext.size(), ciphertext.coeff_modulus_size(), self.plan.degree)
        return coefficients(ciphertext, shape)


@lru_cache(maxsize=8)
def open_context(plan: KeyedPlan) -> EncryptionContext:
    """The plan's context; made once per process, since that takes tens of milliseconds."""
    return EncryptionContext(plan)
