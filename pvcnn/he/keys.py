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
from functools import partial
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError
from pvcnn.he.context import EncryptionContext, open_context
from pvcnn.he.encryption_plan import SwitchingKey
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
    """The keys that the plan lists, in its order.

    bodies: for each (digits, primes, degree), the b of every pair. A key has one digit for each data prime
    with which it is used at most, and is given modulo these and the key-switching prime: SEAL never looks at
    the others, which are zero in what it loads. `seed` expands to all a, numbered in the same order.
    """

    plan_digest: bytes
    seed: bytes
    bodies: tuple[Residues, ...] = field(repr=False)

    def to_bytes(self, plan: KeyedPlan) -> bytes:
        packed = [
            [pack(digit, plan.key_moduli(key)) for digit in body]
            for key, body in zip(plan.keys, self.bodies, strict=True)
        ]
        return encode(
            EVALUATION_FORMAT, VERSION, {"plan": self.plan_digest, "seed": self.seed, "bodies": packed}
        )

    @classmethod
    def from_bytes(cls, plan: KeyedPlan, data: bytes) -> EvaluationKeys:
        length = sum(key.primes * (packed_bytes(plan.degree, plan.key_moduli(key)) + 16) for key in plan.keys)
        fields = _open_key(plan, data, EVALUATION_FORMAT, length)
        seed = fields.octets("seed", SEED_BYTES)
        packed = fields.sequence("bodies", len(plan.keys))
        fields.finish()
        if len(packed) != len(plan.keys):
            raise DecodeError(f"{EVALUATION_FORMAT}: the plan needs {len(plan.keys)} keys, not {len(packed)}")
        return cls(plan.digest, seed, tuple(map(partial(_unpack_key, plan), plan.keys, packed)))

    def load(self, context: EncryptionContext) -> tuple[seal.RelinKeys, seal.GaloisKeys]:
        relinearisation, galois = seal.RelinKeys(), seal.GaloisKeys()
        places, rotations = {}, {}
        first = 0
        for key, body in zip(context.plan.keys, self.bodies, strict=True):
            pairs = self._pairs(context.plan, key, body, first)
            first += len(body)
            if key.element:
                rotations[seal.GaloisKeys.get_index(key.element)] = pairs
            else:
                places[0] = pairs
        if places:
            load(relinearisation, context.seal, key_switching_stream(context.key_parms_id, places))
        if rotations:
            load(galois, context.seal, key_switching_stream(context.key_parms_id, rotations))
        return relinearisation, galois

    def _pairs(self, plan: KeyedPlan, key: SwitchingKey, body: Residues, first: int) -> Residues:
        """(digits, 2, primes, degree) of a key as SEAL has them; `first` numbers its first digit."""
        pairs = np.zeros((len(plan.data_moduli), 2, len(plan.moduli), plan.degree), np.uint64)
        own = _own_rows(plan, key)
        for j, digit in enumerate(body):
            pairs[j, 0, own] = digit
            pairs[j, 1, own] = expand(self.seed, first + j, plan.degree, plan.key_moduli(key))
        return pairs


def _own_rows(plan: KeyedPlan, key: SwitchingKey) -> list[int]:
    """The places, among all moduli, of those modulo which a key is given."""
    return [*range(key.primes), len(plan.moduli) - 1]


def _unpack_key(plan: KeyedPlan, key: SwitchingKey, packed: object) -> Residues:
    if not isinstance(packed, list) or len(packed) != key.primes:
        raise DecodeError(f"{EVALUATION_FORMAT}: the key of {key.element} must have {key.primes} digits")
    moduli = plan.key_moduli(key)
    if not all(isinstance(digit, bytes) for digit in packed):
        raise DecodeError(f"{EVALUATION_FORMAT}: the key of {key.element} must hold byte strings")
    return np.stack([unpack(digit, plan.degree, moduli, EVALUATION_FORMAT) for digit in packed])


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

    elements = [key.element for key in plan.keys if key.element]
    public, relinearisation, galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
    generator.create_public_key(public)
    generator.create_relin_keys(relinearisation)
    generator.create_galois_keys(elements, galois)

    public_seed, evaluation_seed = os.urandom(SEED_BYTES), os.urandom(SEED_BYTES)
    bodies = []
    first = 0
    for key in plan.keys:
        digits = galois.key(key.element) if key.element else relinearisation.key(2)
        own = _own_rows(plan, key)
        bodies.append(
            np.stack(
                [
                    _reseed(plan.degree, plan.key_moduli(key), _pair(digits[j], shape)[:, own], secret[own],
                            evaluation_seed, first + j)
                    for j in range(key.primes)
                ]
            )
        )  # fmt: skip
        first += key.primes
    body = _reseed(plan.degree, plan.moduli, _pair(public, shape), secret, public_seed, 0)
    return (
        SecretKey(plan.digest, secret),
        PublicKey(plan.digest, public_seed, body),
        EvaluationKeys(plan.digest, evaluation_seed, tuple(bodies)),
    )


def _pair(key: Any, shape: tuple[int, int]) -> Residues:
    """(2, primes, degree) of one of SEAL's public keys."""
    return coefficients(key.data(), (2, *shape))


def _reseed(
    degree: int, moduli: tuple[int, ...], pair: Residues, secret: Residues, seed: bytes, index: int
) -> Residues:
    """b + (a - a') s for a pair (b, a) and the a' of this seed and index."""
    b, a = pair
    difference = subtract(a, expand(seed, index, degree, moduli), moduli)
    return add(b, multiply(difference, secret, moduli), moduli)
