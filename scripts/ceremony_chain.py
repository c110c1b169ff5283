"""Who made the keys: follows the record of a ceremony from its generators to the secrets in the keys.

docs/ceremony.md, section "Verification", points 1 and 2. That the keys' other points are those of the
program, a record cannot show: that takes the whole transcript, and `pvcnn ceremony verify`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from aggregate_equations import Point, decode_point, is_product
from primitives import (
    CURVE_ORDER,
    Fields,
    Transcript,
    byte_strings,
    decode,
    demand,
    digest,
    progress,
    read_value,
    split,
    well_formed,
    write_value,
)
from py_ecc.bls.point_compression import compress_G1, compress_G2
from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2, add, eq, multiply, neg

Points = dict[str, Point]
#: The generators of both groups by the length of an encoded point, and how they are encoded.
IN_G1, IN_G2 = 48, 96
GENERATORS = {IN_G1: G1, IN_G2: G2}
ENCODED = {
    IN_G1: compress_G1(G1).to_bytes(48, "big"),
    IN_G2: b"".join(half.to_bytes(48, "big") for half in compress_G2(G2)),
}
KEY_DIGESTS = ("proving_key", "aggregation_key", "aggregation_verifier_key")


class Chain:
    """What the contributions so far have made of the secrets: a point each, as long as `secrets` says."""

    def __init__(self, what: str, description: bytes, secrets: dict[str, int], distinct: set[str]) -> None:
        self.what, self.secrets, self.distinct = what, secrets, distinct
        self.digest = sha256(description).digest()
        self.state = read_value(description, 0)[0]["state"]
        self.points: Points = {name: GENERATORS[length] for name, length in secrets.items()}
        self.encoded = {name: ENCODED[length] for name, length in secrets.items()}
        self.names, self.beacon = list[str](), b""

    def demand(self, condition: bool, complaint: str) -> None:
        demand(condition, f"ceremony of the {self.what}: {complaint}")

    def follow(self, contributions: list[Any]) -> Chain:
        """All contributions; the last one is the beacon's."""
        well_formed(len(contributions) <= 1024, "too many contributions")
        for number, data in enumerate(contributions, 1):
            well_formed(type(data) is bytes, "a contribution is not encoded")
            progress(f"ceremony of the {self.what}: contribution {number} of {len(contributions)}")
            link = decode(data, "pvcnn-ceremony-contribution")
            name = link["name"]
            well_formed(0 < len(name) <= 64 and name.isprintable() and name.strip() == name, "a name")
            well_formed((name == "beacon") == bool(link["beacon"]), "a beacon that is none, or hidden")
            self.demand(not self.beacon, "something follows the beacon")
            place = (link["previous"], link["number"]) == (self.digest, number)
            moves = place and link["state"] != self.state
            self.demand(moves, f"contribution {number} does not build on the last")
            self.extend(link)
            self.digest, self.state = sha256(data).digest(), link["state"]
            if not self.beacon:
                self.names.append(name)
        self.demand(bool(self.beacon) and bool(self.names), "no beacon has closed it, or nobody contributed")
        return self

    def extend(self, link: Fields) -> None:
        """One contribution: every secret is multiplied by something that its proof or the beacon knows."""
        well_formed(len(link["points"]) == len(self.secrets), "a contribution has a point for each secret")
        after = dict(zip(self.secrets, link["points"], strict=True))
        for name, data in after.items():
            fits = type(data) is bytes and len(data) == self.secrets[name]
            well_formed(fits, f"{name}: a point of another group")
            self.demand(data != self.encoded[name], f"a contribution leaves {name} as it was")
        points = {name: decode_point(data) for name, data in after.items()}
        if link["beacon"]:
            self.check_beacon(link, points)
        else:
            self.check_proofs(link, after, points)
        self.points, self.encoded = points, after
        for name, length in self.secrets.items():
            self.demand(after[name] != ENCODED[length], f"{name} is 1")
        different = len({after[name] for name in self.distinct}) == len(self.distinct)
        self.demand(different, "two secrets are equal")

    def check_proofs(self, link: Fields, after: dict[str, bytes], points: Points) -> None:
        """Schnorr: z P = R + c P', one a secret."""
        well_formed(len(link["proofs"]) == len(self.secrets) and not link["log2_iterations"], "proofs")
        transcript, proofs = Transcript("pvcnn/ceremony-contribution"), dict[str, list[bytes]]()
        transcript.absorb(("previous", link["previous"]), ("number", link["number"]))
        transcript.absorb(("name", link["name"].encode()), ("state", link["state"]))
        for (name, data), proof in zip(after.items(), link["proofs"], strict=True):
            byte_strings([proof], len(data) + 32)
            proofs[name] = split(proof, len(data), 32)
            transcript.absorb(("secret", name.encode()), ("before", self.encoded[name]))
            transcript.absorb(("after", data), ("commitment", proofs[name][0]))
        for name, (commitment, response) in proofs.items():
            challenge, z = transcript.challenge(name), int.from_bytes(response, "little")
            well_formed(z < CURVE_ORDER, "a response is not canonical")
            right = add(decode_point(commitment), multiply(points[name], challenge))
            holds = eq(multiply(self.points[name], z), right)
            self.demand(holds, f"contribution {link['number']}: its proof about {name} does not hold")

    def check_beacon(self, link: Fields, points: Points) -> None:
        """Its factors are those that its value gives."""
        value, iterations = link["beacon"], link["log2_iterations"]
        well_formed(16 <= len(value) <= 64 and 10 <= iterations <= 22 and not link["proofs"], "a beacon")
        seed = digest("pvcnn/ceremony-beacon", self.digest, value)
        for _ in range(1 << iterations):
            seed = sha256(seed).digest()
        transcript = Transcript("pvcnn/ceremony-beacon-secrets")
        transcript.absorb(("seed", seed))
        factors = {name: transcript.challenge(name) for name in self.secrets}
        per_delta = pow(factors.get("delta", 1), -1, CURVE_ORDER)
        for name, factor in factors.items():
            ratio = factor * (per_delta if name.startswith("eta_") else 1) % CURVE_ORDER
            given = eq(points[name], multiply(self.points[name], ratio))
            self.demand(given, f"{name} is not what the beacon gives")
        self.beacon = value


def check_record(data: bytes, manifest: Fields, key_data: bytes, key: Fields, string: Fields) -> str:
    """The line on who made the keys. data: a record that the manifest names. key, string: decoded."""
    record = decode(data, "pvcnn-ceremony-record")
    for name in KEY_DIGESTS:
        named = manifest[f"{name}_digest"]
        demand(record[f"{name}_digest"] == named, f"ceremony: another {name} than the manifest's")
    circuit_key = sha256(circuit_key_of(key_data)).digest()
    demand(record["circuit_key_digest"] == circuit_key, "ceremony: another circuit key")
    powers = decode(record["powers"], "pvcnn-powers-ceremony")
    proofs = powers["max_proofs"]
    serves = 0 < powers["domain_log2"] <= 24 and 2 <= proofs <= 1 << 14 and proofs.bit_count() == 1
    well_formed(serves, "powers of another size")
    circuit = decode(record["circuit"], "pvcnn-circuit-ceremony")
    about = all(circuit[name] == key[name] for name in ("program_digest", "frames", "weights_digest"))
    committed = ["in", "w", *["lab"] * key["labelled"], "aux"]
    demand(about and circuit["committed"] == committed, "ceremony: it was about another circuit")
    secrets = dict.fromkeys(("tau", "alpha", "beta", "a", "b"), IN_G1)
    first = Chain("powers", record["powers"], secrets, {"a", "b"}).follow(record["powers_contributions"])
    gammas = {f"gamma_{segment}": IN_G2 for segment in ("pub", *committed)}
    secrets = {"delta": IN_G2, **gammas, **{f"eta_{segment}": IN_G1 for segment in committed}}
    second = Chain("circuit", record["circuit"], secrets, {"delta", *gammas})
    second.follow(record["circuit_contributions"])
    demand(circuit["powers"] == first.digest, "ceremony: the circuit's does not build on these powers")
    demand(first.beacon != second.beacon, "ceremony: the circuit's beacon is that of the powers")
    claimed = {"alpha": key["alpha"], "delta": key["delta"], "a": string["a_g1"], "b": string["b_g1"]}
    claimed |= dict(zip(gammas, key["gamma"], strict=True))
    for name, point in claimed.items():
        demand(eq((first.points | second.points)[name], point), f"ceremony: it made another {name}")
    beta = [(first.points["beta"], G2), (neg(G1), key["beta"])]
    demand(is_product(FQ12.one(), beta), "ceremony: it made another beta")
    return who_made(first, second) + f", transcript digest {sha256(data).hexdigest()}"


def who_made(*chains: Chain) -> str:
    """How many have to be dishonest at least: all of one chain."""
    fewest = min(chains, key=lambda chain: len(set(chain.names)))
    alone, count = fewest.names[0], len(set(fewest.names))
    if count > 1:
        return f"setup: ceremony of {count} contributors"
    against = f"{alone} alone for the {fewest.what}: do not rely on it against {alone}"
    return f"setup: ceremony of 1 contributor ({against})"


def circuit_key_of(data: bytes) -> bytes:
    """What an encoded verification key was before the owner committed to the weights."""
    fields = read_value(data, 0)[0]
    del fields["weights_commitment"]
    return write_value(fields | {"format": "pvcnn-circuit-key"})
