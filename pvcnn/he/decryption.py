"""The cluster's part: an answer to features, and features to the integers that are proved."""

from __future__ import annotations

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import SubmissionRefused
from pvcnn.he.checks import features_content, read_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import SecretKey


def decrypt_features(plan: EncryptionPlan, secret_key: SecretKey, ciphertext: bytes) -> NDArray[np.float64]:
    """The features of an answer, of shape plan.output_shape, each off by flooding_amplitude or so.

    A ciphertext under another key decrypts to nonsense, which `quantise` refuses. The result must not
    leave the cluster: decryptions of CKKS help to find the key (eprint 2020/1533). Raises DecodeError or
    SubmissionRefused for what is not an answer under this plan.
    """
    slots = decrypt_slots(plan, secret_key, ciphertext)
    return plan.output_layout.gather(slots[None])


def decrypt_slots(plan: EncryptionPlan, secret_key: SecretKey, ciphertext: bytes) -> NDArray[np.complex128]:
    """(slots,) everything that an answer holds, the noise where no output is included."""
    context = open_context(plan)
    content = features_content(plan)
    (residues,) = read_ciphertexts(plan, content, context.parms_id(content.primes), ciphertext)
    plaintext = seal.Plaintext()
    decryptor = seal.Decryptor(context.seal, secret_key.load(context))
    decryptor.decrypt(context.ciphertext(residues, content.primes, plan.scale), plaintext)
    return context.decode(plaintext)


def quantise(features: NDArray[np.float64], step: float, low: int, high: int) -> NDArray[np.int64]:
    """round(features / step), all in [low, high].

    Raises SubmissionRefused otherwise, with a public message that holds no value; its `details`, for
    the cluster's log alone, name position and value. A frame under a foreign key ends up here.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        integers = np.rint(np.asarray(features, np.float64) / step)
    within = (integers >= low) & (integers <= high)  # False for what is not a number
    if not within.all():
        position = tuple(int(i) for i in np.argwhere(~within)[0])
        raise SubmissionRefused(
            "the features are outside the range of the public part",
            f"feature {position} is {features[position]!r}, in steps {integers[position]!r},"
            f" outside [{low}, {high}]; {int((~within).sum())} of {within.size} are outside",
        )
    return integers.astype(np.int64)
