"""The cluster's encryption keys.

Every public key here is a list of pairs (b, a) with b = w - e - a s for the secret s, a small error e
and something w that the key transports (0 in the public key itself). SEAL draws s, e and a; a is then
replaced by a polynomial a' that SHAKE-256 expands from a seed, and b by b + (a - a') s, which leaves
e and w as they were.

That halves the keys, since the seed stands for all a', and it takes a choice away from the cluster:
with an a of its own making (small, say) the public key's encryptions of zero would hide nothing, and
it is these that the owner adds to its answers. b cannot be checked by anyone without s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.he.context import EncryptionContext, open_context
from pvcnn.he.keyed_plan import KeyedPlan
from pvcnn.he.residues import Residues, add, expand, multiply, pack, packed_bytes, subtract, unpack
from pvcnn.he.streams import ciphertext_stream, coefficients, key_switching_stream, load, secret_key_stream

VERSION = 1
SECRET_FORMAT = "pvcnn-encryption-secret-key"  # noqa: S105 - a name
PUBLIC_FORMAT = "pvcnn-encryption-public-key"
EVALUATION_FORMAT = "pvcnn-encryption-evaluation-keys"
SEED_BYTES = 32
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True, eq=False)
class SecretKey:
    """The secret polynomial, (primes, degree). Opens every ciphertext of the plan."""

    plan_digest: bytes
    polynomial: Residues = field(repr=False)

    def to_bytes(self, plan: KeyedPlan) -> bytes:
        body = pack(self.polynomial, plan.moduli)
        return encode(SECRET_FORMAT, VERSION, {"plan": self.plan_digest, "polynomial": body})

    @classmethod
    def from_bytes(cls, plan: KeyedPlan, data: bytes) -> SecretKey:
        length = packed_bytes(plan.degree, plan.moduli)
        fields = _open_key(plan, data, SECRET_FORMAT, length)
        body = fields.octets("polynomial", length)
        fields.finish()
        return cls(plan.digest, unpack(body, plan.degree, plan.moduli, SECRET_FORMAT))

    def load(self, context: EncryptionContext) -> seal.SecretKey:
        key = seal.SecretKey()
        load(key, context.seal, secret_key_stream(context.key_parms_id, self.polynomial))
        return key


@dataclass(frozen=True, eq=False)
class PublicKey:
    """b, (primes, degree), and the seed of a. Encrypts frames, and zeros for the owner's answers."""

    plan_digest: bytes
    seed: bytes
    body: Residues = field(repr=False)

    def to_bytes(self, plan: KeyedPlan) -> bytes:
        body = pack(self.body, plan.moduli)
        return encode(PUBLIC_FORMAT, VERSION, {"plan": self.plan_digest, "seed": self.seed, "body": body})

    @classmethod
    def from_bytes(cls, plan: KeyedPlan, data: bytes) -> PublicKey:
        length = packed_bytes(plan.degree, plan.moduli)
        fields = _open_key(plan, data, PUBLIC_FORMAT, length)
        seed = fields.octets("seed", SEED_BYTES)
        body = fields.octets("body", length)
        fields.finish()
        return cls(plan.digest, seed, unpack(body, plan.degree, plan.moduli, PUBLIC_FORMAT))

    def load(self, context: EncryptionContext) -> seal.PublicKey:
        plan = context.plan
        uniform = expand(self.seed, 0, plan.degree, plan.moduli)
        key = seal.PublicKey()
        pair = np.stack([self.body, uniform])
        load(key, context.seal, ciphertext_stream(context.key_parms_id, 1.0, pair))
        return key


@dataclass(frozen=True, eq=False)
class EvaluationKeys:
    """The relinearisation key and one key per rotation step of the plan.

    bodies: (1 + steps, digits, primes, degree), the b of every pair; the relinearisation key comes
    first. `seed` expands to all a, numbered in the same order.
    """

    plan_digest: bytes
    seed: bytes
    bodies: Residues = field(repr=False)

    def to_bytes(self, plan: KeyedPlan) -> bytes:
        packed = [[pack(digit, plan.moduli) for digit in key] for key in self.bodies]
        return encode(
            EVALUATION_FORMAT, VERSION, {"plan": self.plan_digest, "seed": self.seed, "bodies": packed}
        )

    @classmethod
    def from_bytes(cls, plan: KeyedPlan, data: bytes) -> EvaluationKeys:
        keys, digits = 1 + len(plan.steps), len(plan.data_moduli)
        length = packed_bytes(plan.degree, plan.moduli)
        fields = _open_key(plan, data, EVALUATION_FORMAT, keys * digits * (length + 16))
        seed = fields.octets("seed", SEED_BYTES)
        packed = fields.sequence("bodies", keys)
        fields.finish()
        bodies = np.empty((keys, digits, len(plan.moduli), plan.degree), np.uint64)
        if len(packed) != keys:
            raise DecodeError(f"{EVALUATION_FORMAT}: the plan needs {keys} keys, not {len(packed)}")
        for i, key in enumerate(packed):
            if not isinstance(key, list) or len(key) != digits:
                raise DecodeError(f"{EVALUATION_FORMAT}: key {i} must have {digits} digits")
            for j, digit in enumerate(key):
                if not isinstance(digit, bytes):
                    raise DecodeError(f"{EVALUATION_FORMAT}: key {i} must hold byte strings")
                bodies[i, j] = unpack(digit, plan.degree, plan.moduli, EVALUATION_FORMAT)
        return cls(plan.digest, seed, bodies)

    def load(self, context: EncryptionContext) -> tuple[seal.RelinKeys, seal.GaloisKeys]:
        keys = self._pairs(context.plan)
        relinearisation, galois = seal.RelinKeys(), seal.GaloisKeys()
        places = {0: keys[0]}
        load(relinearisation, context.seal, key_switching_stream(context.key_parms_id, places))
        elements = context.plan.galois_elements
        places = {seal.GaloisKeys.get_index(g): key for g, key in zip(elements, keys[1:], strict=True)}
        if places:
            load(galois, context.seal, key_switching_stream(context.key_parms_id, places))
        return relinearisation, galois

    def _pairs(self, plan: KeyedPlan) -> list[Residues]:
        """For each key (digits, 2, primes, degree)."""
        pairs = np.empty((*self.bodies.shape[:2], 2, *self.bodies.shape[2:]), np.uint64)
        pairs[:, :, 0] = self.bodies
        digits = self.bodies.shape[1]
        for i, key in enumerate(pairs):
            for j, pair in enumerate(key):
                pair[1] = expand(self.seed, i * digits + j, plan.degree, plan.moduli)
        return list(pairs)


def _open_key(plan: KeyedPlan, data: bytes, format_name: str, length: int) -> Fields:
    fields = decode(data, format_name, VERSION, length + _ENVELOPE_BYTES)
    if fields.octets("plan", 32) != plan.digest:
        raise DecodeError(f"{format_name}: made for another encryption plan")
    return fields


def generate(plan: KeyedPlan) -> tuple[SecretKey, PublicKey, EvaluationKeys]:
    """Fresh keys for a plan; takes about a second. The secret key never leaves the caller's hands."""
    context = open_context(plan)
    generator = seal.KeyGenerator(context.seal)
    shape = (len(plan.moduli), plan.degree)
    drawn = generator.secret_key()  # `data` refers into it, so it must stay alive
    secret = coefficients(drawn.data(), shape)

    public, relinearisation, galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
    generator.create_public_key(public)
    generator.create_relin_keys(relinearisation)
    generator.create_galois_keys(list(plan.galois_elements), galois)

    public_seed, evaluation_seed = os.urandom(SEED_BYTES), os.urandom(SEED_BYTES)
    switching = [relinearisation.key(2), *(galois.key(g) for g in plan.galois_elements)]
    digits = len(plan.data_moduli)
    bodies = np.empty((len(switching), digits, *shape), np.uint64)
    for i, key in enumerate(switching):
        for j in range(digits):
            bodies[i, j] = _reseed(plan, key[j], secret, evaluation_seed, i * digits + j)
    return (
        SecretKey(plan.digest, secret),
        PublicKey(plan.digest, public_seed, _reseed(plan, public, secret, public_seed, 0)),
        EvaluationKeys(plan.digest, evaluation_seed, bodies),
    )


def _reseed(plan: KeyedPlan, key: Any, secret: Residues, seed: bytes, index: int) -> Residues:
    """b + (a - a') s for a pair (b, a) and the a' of this seed and index."""
    b, a = coefficients(key.data(), (2, *secret.shape))
    difference = subtract(a, expand(seed, index, plan.degree, plan.moduli), plan.moduli)
    return add(b, multiply(difference, secret, plan.moduli), plan.moduli)
