"""What is left of a ceremony for those who verify a campaign: both chains, and which keys they made.

Needs none of the kernels. A record shows that the keys' secrets were made by these contributions, as far as
one finds them in the keys; that every other point of the keys is right is for `pvcnn ceremony verify`, which
reads the whole transcript.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from pvcnn.aggregate.reference_string import AggregationVerifierKey
from pvcnn.algebra.points import G1Point, G2Point, pairing_product_is_one
from pvcnn.ceremony import contribution
from pvcnn.ceremony.chain import Chain, follow
from pvcnn.ceremony.contribution import MAX_CONTRIBUTIONS, Contribution
from pvcnn.ceremony.description import (
    DIGEST_BYTES,
    CircuitDescription,
    Description,
    Point,
    PowersDescription,
    gamma_name,
)
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.qmp.keys import CircuitKey

FORMAT: Final = "pvcnn-ceremony-record"
VERSION: Final = 1
MAX_BYTES: Final = 1 << 22
_KEY_DIGESTS: Final = (
    "circuit_key_digest",
    "proving_key_digest",
    "aggregation_key_digest",
    "aggregation_verifier_key_digest",
)


@dataclass(frozen=True)
class CeremonyRecord:
    """Descriptions and contributions of the powers' ceremony and of the circuit's, and digests of the keys.

    circuit_key_digest, proving_key_digest, aggregation_key_digest, aggregation_verifier_key_digest: SHA-256
    of the encoded keys.
    """

    powers: PowersDescription
    powers_contributions: tuple[Contribution, ...]
    circuit: CircuitDescription
    circuit_contributions: tuple[Contribution, ...]
    circuit_key_digest: bytes
    proving_key_digest: bytes
    aggregation_key_digest: bytes
    aggregation_verifier_key_digest: bytes

    @property
    def contributors(self) -> tuple[str, ...]:
        """The names of all contributors but beacons, each once, in the order of their first contribution."""
        return _contributors((*self.powers_contributions, *self.circuit_contributions))

    def summary(self) -> str:
        """A line for reports: who made the keys.

        All who contributed to one of the two ceremonies can forge together, so it is the smaller one whose
        contributors count; one that is alone there is named.
        """
        ceremonies = [("powers", self.powers_contributions), ("circuit", self.circuit_contributions)]
        found = [(what, _contributors(links)) for what, links in ceremonies]
        what, names = min(found, key=lambda each: len(each[1]))
        many = f"{len(names)} contributors"
        if len(names) == 1:
            many = f"1 contributor ({names[0]} alone for the {what}: do not rely on it against {names[0]})"
        return f"setup: ceremony of {many}, transcript digest {self.digest().hex()}"

    def digest(self) -> bytes:
        """SHA-256 of the encoding: what a manifest names."""
        return hashlib.sha256(self.to_bytes()).digest()

    def follow(self) -> tuple[Chain, Chain]:
        """Both chains, the powers' first. Raises VerificationError as `closed_chains`."""
        return closed_chains(self.powers, self.powers_contributions, self.circuit, self.circuit_contributions)

    def check(self, key: CircuitKey, aggregation: AggregationVerifierKey) -> None:
        """Raises VerificationError unless the chains hold and lead to these keys' secrets.

        key: a circuit's key, or the verification key of a model. See above for what that does not show.
        """
        powers, circuit = self.follow()
        _check_key_digest(self, key, aggregation)
        if (key.program_digest, key.frames) != (self.circuit.program_digest, self.circuit.frames):
            raise VerificationError("ceremony: it was about another circuit")
        gamma = key.gamma_g2.by_segment()
        if (tuple(gamma), key.weights_digest) != (self.circuit.visible, self.circuit.weights_digest):
            raise VerificationError("ceremony: it was about a circuit with other segments or weights")
        claimed: dict[str, Point] = {"delta": key.delta_g2, "alpha": key.alpha_g1}
        claimed |= {gamma_name(segment): point for segment, point in gamma.items()}
        claimed |= {"a": aggregation.a_g1, "b": aggregation.b_g1}
        made: Mapping[str, Point] = {**powers.points, **circuit.points}
        for name, point in claimed.items():
            if made[name] != point:
                raise VerificationError(f"ceremony: the key's {name} is not the one that it made")
        beta = made["beta"]
        assert isinstance(beta, G1Point)
        if not pairing_product_is_one([(beta, G2Point()), (-G1Point(), key.beta_g2)]):
            raise VerificationError("ceremony: the key's beta is not the one that it made")

    def to_bytes(self) -> bytes:
        body: dict[str, object] = {name: getattr(self, name) for name in _KEY_DIGESTS}
        body |= {"powers": self.powers.to_bytes(), "circuit": self.circuit.to_bytes()}
        body["powers_contributions"] = [each.to_bytes() for each in self.powers_contributions]
        body["circuit_contributions"] = [each.to_bytes() for each in self.circuit_contributions]
        return encode(FORMAT, VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> CeremonyRecord:
        """Inverse of `to_bytes`. Raises DecodeError for anything that `to_bytes` does not give."""
        taken = decode(data, FORMAT, VERSION, MAX_BYTES)
        digests = [taken.octets(name, DIGEST_BYTES) for name in _KEY_DIGESTS]
        powers = PowersDescription.from_bytes(taken.octets("powers"))
        circuit = CircuitDescription.from_bytes(taken.octets("circuit"))
        links = [_links(taken, name) for name in ("powers_contributions", "circuit_contributions")]
        taken.finish()
        return cls(powers, links[0], circuit, links[1], *digests)


def _contributors(links: Sequence[Contribution]) -> tuple[str, ...]:
    """The names of all but beacons, each once, in the order of their first contribution."""
    return tuple(dict.fromkeys(each.name for each in links if each.beacon is None))


def closed_chains(
    powers: PowersDescription,
    powers_contributions: Sequence[Contribution],
    circuit: CircuitDescription,
    circuit_contributions: Sequence[Contribution],
) -> tuple[Chain, Chain]:
    """Both chains, followed.

    Raises VerificationError if one does not hold, is not closed by a beacon, if the circuit's does not begin
    where the powers' ends, or if both beacons have the same value: the second one was known before the
    circuit's contributions were made.
    """
    chains = []
    for what, description, links in (
        ("powers", powers, powers_contributions),
        ("circuit", circuit, circuit_contributions),
    ):
        chains.append(_closed(what, description, links))
    first, second = chains
    if circuit.powers != first.digest:
        raise VerificationError("ceremony: the circuit's does not build on these powers")
    check_fresh_beacon(first, second)
    return first, second


def check_fresh_beacon(powers: Chain, circuit: Chain) -> None:
    """Raises VerificationError if the circuit's beacon is the powers' once more."""
    values = [chain.contributions[-1].beacon for chain in (powers, circuit) if chain.is_closed]
    if len(values) == 2 and len({beacon.value for beacon in values if beacon}) == 1:
        raise VerificationError("ceremony: the circuit's beacon is that of the powers, and was known before")


def describe_setup(record: CeremonyRecord | None, party: str) -> str:
    """The line of a report that says whom a campaign's keys make one trust."""
    if record is None:
        return f"setup: single party {party}: do not rely on it against {party}"
    return record.summary()


def _closed(what: str, description: Description, links: Sequence[Contribution]) -> Chain:
    try:
        chain = follow(description, links)
    except VerificationError as error:
        raise VerificationError(f"ceremony of the {what}: {error}") from error
    if not chain.is_closed:
        raise VerificationError(f"ceremony of the {what}: no beacon has closed it")
    return chain


def _check_key_digest(record: CeremonyRecord, key: CircuitKey, aggregation: AggregationVerifierKey) -> None:
    circuit_key = CircuitKey(**{each.name: getattr(key, each.name) for each in fields(CircuitKey)})
    if hashlib.sha256(circuit_key.to_bytes()).digest() != record.circuit_key_digest:
        raise VerificationError("ceremony: the circuit's key is not the one that it made")
    if hashlib.sha256(aggregation.to_bytes()).digest() != record.aggregation_verifier_key_digest:
        raise VerificationError("ceremony: the aggregation's key is not the one that it made")


def _links(taken: Fields, name: str) -> tuple[Contribution, ...]:
    items = taken.sequence(name, MAX_CONTRIBUTIONS)
    if any(not isinstance(item, bytes) or len(item) > contribution.MAX_BYTES for item in items):
        raise DecodeError(f"{FORMAT}: field {name!r} must hold encoded contributions")
    return tuple(Contribution.from_bytes(item) for item in items)
