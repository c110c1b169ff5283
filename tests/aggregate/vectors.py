"""The test vectors of docs/vectors: aggregates, valid and not, with what they are verified against.

    python -m tests.aggregate.vectors    writes docs/vectors/aggregates.json again, byte for byte

Everything follows from seeds. docs/formats.md describes the file.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cbor2

from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.aggregator import aggregate_groups
from pvcnn.aggregate.inner_product import powers_of
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey, AggregationVerifierKey, Powers
from pvcnn.algebra import tower
from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.points import G1Point, encode_g1
from pvcnn.algebra.target import TARGET_BYTES, _coefficients
from pvcnn.qmp.proof import Proof
from tests.aggregate.synthetic import Trapdoor, fold, g1, g2
from tests.aggregate.test_aggregate_bytes import G1_IDENTITY, G1_OUTSIDE, recode, splice
from tests.aggregate.test_aggregate_refuses import FIELD_CHANGES
from tests.algebra.tower_elements import small_order

FILE = Path(__file__).resolve().parents[2] / "docs" / "vectors" / "aggregates.json"
FORMAT, VERSION = "pvcnn-test-vectors", 1

#: A verification key and statements, by their names.
Claim = Sequence[tuple[str, Sequence[str]]]


def reference_string(size: int, a: int, b: int) -> AggregationKey:
    """That of two secrets."""
    return AggregationKey(
        *(
            Powers(
                tuple(g1(power) for power in powers_of(secret, 2 * size)),
                tuple(g2(power) for power in powers_of(secret, size)),
            )
            for secret in (a, b)
        )
    )


@dataclass
class Corpus:
    """The vectors so far, and the artefacts that they name."""

    artefacts: dict[str, bytes] = field(default_factory=dict)
    vectors: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, name: str, data: bytes) -> str:
        """An artefact's name, under which it lies from now on."""
        assert self.artefacts.setdefault(name, data) == data, name
        return name

    def add(
        self, verdict: str, name: str, groups: Claim, aggregate: bytes, string: str = "reference string"
    ) -> None:
        """A vector about an aggregate that is kept under the vector's own name."""
        known = {data: each for each, data in reversed(self.artefacts.items())}
        self.vectors.append(
            {
                "name": name,
                "verdict": verdict,
                "reference_string": string,
                "groups": [{"key": key, "statements": list(statements)} for key, statements in groups],
                "aggregate": known.get(aggregate) or self.keep(f"aggregate: {name}", aggregate),
            }
        )

    def to_json(self) -> str:
        body = {
            "format": FORMAT,
            "version": VERSION,
            "artefacts": {name: self._written(name, data) for name, data in self.artefacts.items()},
            "vectors": self.vectors,
        }
        return json.dumps(body, indent=1) + "\n"

    def _written(self, name: str, data: bytes) -> str | dict[str, Any]:
        """An artefact in hexadecimal; or, if it differs from an earlier one in few bytes, in which."""
        for other, base in self.artefacts.items():
            if other == name:
                break
            places = [i for i, (a, b) in enumerate(zip(base, data, strict=False)) if a != b]
            if len(base) == len(data) and places[-1] - places[0] < len(data) // 4:
                first, last = places[0], places[-1] + 1
                return {"like": other, "at": first, "bytes": data[first:last].hex()}
        return data.hex()


def artefacts_of(corpus: dict[str, Any]) -> dict[str, bytes]:
    """The artefacts of a corpus that was read."""
    found: dict[str, bytes] = {}
    for name, written in corpus["artefacts"].items():
        if isinstance(written, str):
            found[name] = bytes.fromhex(written)
        else:
            found[name] = splice(found[written["like"]], written["at"], bytes.fromhex(written["bytes"]))
    return found


class Maker:
    """The corpus, from three circuits whose setup is known, one of which takes labels."""

    def __init__(self) -> None:
        self.corpus = Corpus()
        self.string = reference_string(4, 0x529, 0x2021)
        self.circuits = {
            "first key": Trapdoor(1),
            "second key": Trapdoor(2),
            "key with labels": Trapdoor(3, ("in", "w", "lab", "aux")),
        }
        self.proofs: dict[str, Proof] = {}
        self.names: dict[str, list[str]] = {}
        self.corpus.keep("reference string", self.string.verifier.to_bytes())
        for key, circuit in self.circuits.items():
            self.corpus.keep(key, circuit.vk.to_bytes())
            self.names[key] = []
            for i, proof in enumerate(circuit.prove_many(4)):
                name = self.statement(f"{key}, statement {i}", proof)
                self.proofs[name] = proof
                self.names[key].append(name)

    def statement(self, name: str, proof: Proof) -> str:
        return self.corpus.keep(name, proof.statement.to_bytes())

    def claim(self, *numbers: tuple[str, int]) -> Claim:
        """The first so many statements of each key."""
        return [(key, self.names[key][:count]) for key, count in numbers]

    def made(self, groups: Claim, scheme: Any) -> bytes:
        """The honest aggregate."""
        given = [(self.circuits[key].vk, [self.proofs[name] for name in names]) for key, names in groups]
        return aggregate_groups(self.string, given, scheme=scheme).to_bytes()

    def make(self) -> Corpus:
        self.valid()
        for scheme in ("packed", "snarkpack"):
            self.other_statements(scheme)
            self.other_groups(scheme)
        self.changed_packed()
        self.changed_folded()
        self.other_strings()
        self.malformed()
        return self.corpus

    def valid(self) -> None:
        for scheme, word in (("packed", "packed"), ("snarkpack", "folded")):
            for about, groups in (
                ("one proof", self.claim(("first key", 1))),
                ("three proofs", self.claim(("first key", 3))),
                ("two proofs with labels", self.claim(("key with labels", 2))),
                ("three groups", self.claim(("second key", 1), ("key with labels", 1), ("first key", 1))),
            ):
                self.corpus.add("valid", f"{word}, {about}", groups, self.made(groups, scheme))

    def other_statements(self, scheme: str) -> None:
        word = "packed" if scheme == "packed" else "folded"
        (honest,) = self.claim(("first key", 3))
        data, (first, second, third), key = self.made([honest], scheme), honest[1], honest[0]
        proof = self.proofs[first]
        other_context = replace(proof.statement, context=b"another submission")
        other_output = replace(proof.statement, outputs=(1, 0))
        for about, names in (
            ("a statement of another proof", (first, second, self.names[key][3])),
            ("statements in another order", (second, first, third)),
            ("a statement left out", (first, second)),
            ("the last statement twice, as padding does", (first, second, third, third)),
            (
                "another context",
                (self.statement("another context", replace(proof, attached=other_context)), second, third),
            ),
            (
                "another output",
                (self.statement("another output", replace(proof, attached=other_output)), second, third),
            ),
        ):
            self.corpus.add("invalid", f"{word}, {about}", [(key, names)], data)
        weights = replace(self.circuits[key].vk, weights_commitment=g1(7))
        other = self.corpus.keep("first key with other weights", weights.to_bytes())
        self.corpus.add("invalid", f"{word}, a key for other weights", [(other, honest[1])], data)
        self.corpus.add("invalid", f"{word}, a key that takes labels", [("key with labels", honest[1])], data)

    def other_groups(self, scheme: str) -> None:
        word = "packed" if scheme == "packed" else "folded"
        first, second = self.claim(("first key", 2), ("second key", 2))
        data = self.made([first, second], scheme)
        for about, groups in (
            ("groups in another order", [second, first]),
            ("keys of two groups exchanged", [(second[0], first[1]), (first[0], second[1])]),
            (
                "a statement moved to the other group",
                [(first[0], [*first[1], second[1][0]]), (second[0], second[1][1:])],
            ),
            ("a group left out", [first]),
            ("all under one key", [(first[0], [*first[1], *second[1]])]),
            ("one key for two groups", [first, (first[0], second[1])]),
            ("an empty group more", [first, second, ("key with labels", [])]),
            ("no groups", []),
        ):
            self.corpus.add("invalid", f"{word}, {about}", groups, data)

    def changed_packed(self) -> None:
        groups = self.claim(("first key", 1))
        name = groups[0][1][0]
        honest = self.proofs[name]
        for point in ("a", "b", "c", "auxiliary_commitment"):
            changed = getattr(honest, point) + (g2(1) if point == "b" else g1(1))
            data = PackedAggregate((1,), (replace(honest, **{point: changed}),)).to_bytes()
            self.corpus.add("invalid", f"packed, another {point}", groups, data)
        pair = self.claim(("first key", 2))
        both = [self.proofs[each] for each in pair[0][1]]
        cancelling = (replace(both[0], c=both[0].c + g1(1)), replace(both[1], c=both[1].c - g1(1)))
        data = PackedAggregate((2,), cancelling).to_bytes()
        self.corpus.add("invalid", "packed, errors of C that cancel at equal weights", pair, data)

    def changed_folded(self) -> None:
        groups = self.claim(("first key", 1))
        made = Aggregate.from_bytes(self.made(groups, "snarkpack"))
        for name, change in FIELD_CHANGES.items():
            if name.startswith(("round 1", "D_aux 1", "D_aux 2", "rounds exchanged")):
                continue  # of aggregates of more proofs
            self.corpus.add("invalid", f"folded, another {name}", groups, change(made).to_bytes())
        name = groups[0][1][0]
        proof, circuit = self.proofs[name], self.circuits["first key"]
        bad = fold(self.string, circuit.vk, [replace(proof, c=proof.c + g1(1))], check=False)
        self.corpus.add("invalid", "folded, of a proof that does not verify", groups, bad.to_bytes())
        several = self.claim(("first key", 1), ("second key", 1))
        both = Aggregate.from_bytes(self.made(several, "snarkpack"))
        one, two = both.claim.totals
        moved = replace(both, claim=replace(both.claim, totals=(one + G1Point(), two - G1Point())))
        data = moved.to_bytes()
        self.corpus.add("invalid", "folded, totals moved from one group to another", several, data)

    def other_strings(self) -> None:
        groups = self.claim(("first key", 3))
        data = self.made(groups, "snarkpack")
        right = self.string.verifier
        exchanged = AggregationVerifierKey(4, right.b_g1, right.a_g1, right.b_g2, right.a_g2)
        for about, string in (
            ("another reference string", reference_string(4, 5, 6).verifier),
            ("its two secrets exchanged", exchanged),
            ("a reference string for fewer proofs", replace(right, max_proofs=2)),
        ):
            name = self.corpus.keep(about, string.to_bytes())
            self.corpus.add("invalid", f"folded, {about}", groups, data, name)
        encoded = right.to_bytes()
        for about, change in (
            ("one secret twice", lambda f: f.update(b_g1=f["a_g1"], b_g2=f["a_g2"])),
            (
                "a secret that is 1",
                lambda f: f.update(a_g1=encode_g1(g1(1)), a_g2=g2(1).to_compressed_bytes()),
            ),
            ("halves of two secrets", lambda f: f.update(a_g2=f["b_g2"])),
            ("no power of two", lambda f: f.update(max_proofs=3)),
        ):
            name = self.corpus.keep(f"reference string, {about}", recode(encoded, change))
            self.corpus.add("malformed", f"folded, reference string: {about}", groups, data, name)

    def malformed(self) -> None:
        groups = self.claim(("first key", 1))
        folded, packed = self.made(groups, "snarkpack"), self.made(groups, "packed")

        def field(name: str, at: int, part: bytes) -> Callable[[dict[str, Any]], None]:
            return lambda fields: fields.update({name: splice(fields[name], at, part)})

        claim = cbor2.loads(folded)["claim"]
        member = tower.decompress(_coefficients(claim[:TARGET_BYTES])[:6])
        defective = tower.multiply(member, small_order(random.Random(4513), 4513))
        outside = b"".join(c.to_bytes(48, "little") for c in tower.compress(defective))
        first = int.from_bytes(claim[:48], "little") + BASE_MODULUS
        for about, data, change in (
            ("a target element times one of order 4513", folded, field("claim", 0, outside)),
            ("a coefficient that is not below q", folded, field("claim", 0, first.to_bytes(48, "little"))),
            ("a total outside the subgroup", folded, field("claim", 5 * TARGET_BYTES, G1_OUTSIDE)),
            ("a final A that is the identity", folded, field("final", 288, G1_IDENTITY)),
            ("a D_aux outside the subgroup", folded, field("auxiliary_commitments", 0, G1_OUTSIDE)),
            ("a round too few", folded, lambda fields: fields["rounds"].pop()),
            ("a round too many", folded, lambda fields: fields["rounds"].append(fields["rounds"][0])),
            ("version 1", folded, lambda fields: fields.update(version=1)),
            ("a size of two for one proof", folded, lambda fields: fields.update(groups=[2])),
            ("a group of no proofs", folded, lambda fields: fields.update(groups=[1, 0])),
            ("a field more", folded, lambda fields: fields.update(surplus=0)),
            ("A outside the subgroup", packed, field("proofs", 0, G1_OUTSIDE)),
            ("D_aux that is the identity", packed, field("proofs", 192, G1_IDENTITY)),
            ("a byte too few", packed, lambda fields: fields.update(proofs=fields["proofs"][:-1])),
            ("groups of two for one proof", packed, lambda fields: fields.update(groups=[1, 1])),
            ("a list of proofs", packed, lambda fields: fields.update(proofs=[fields["proofs"]])),
            ("the name of a folded one", packed, lambda fields: fields.update(format="pvcnn-aggregate")),
        ):
            word = "packed" if data is packed else "folded"
            self.corpus.add("malformed", f"{word}, {about}", groups, recode(data, change))
        long_length = packed.replace(b"\x58\xf0", b"\x59\x00\xf0", 1)
        assert cbor2.loads(long_length) == cbor2.loads(packed)
        for about, hostile in (
            ("a length that is not encoded shortest", long_length),
            ("bytes after its end", packed + b"\0"),
            ("cut short", packed[:-1]),
            ("no CBOR", b"\xff"),
            ("nothing", b""),
        ):
            self.corpus.add("malformed", f"packed, {about}", groups, hostile)
        statement = cbor2.loads(self.proofs[groups[0][1][0]].statement.to_bytes())
        wide = self.corpus.keep(
            "an output of 65 bits", cbor2.dumps(statement | {"outputs": [1 << 63, 0]}, canonical=True)
        )
        self.corpus.add("malformed", "packed, an output of 65 bits", [("first key", [wide])], packed)
        same = recode(
            self.circuits["first key"].vk.to_bytes(), lambda f: f["gamma"].__setitem__(1, f["gamma"][2])
        )
        key = self.corpus.keep("first key with one gamma twice", same)
        self.corpus.add("malformed", "packed, a key with one gamma twice", [(key, groups[0][1])], packed)


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(Maker().make().to_json())


if __name__ == "__main__":
    main()
