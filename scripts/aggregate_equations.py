"""Aggregates, packed or folded, verified with py_ecc: the part of the second verifier that takes a curve.

Of a folded aggregate equations are checked one by one, and membership of the target group is f^r = 1.
Equation numbers are those of docs/protocol.md. Whatever does not hold ends the program, see primitives.py.
"""

from __future__ import annotations

import secrets
from functools import cache, reduce
from typing import Any

from primitives import (
    Fields,
    Transcript,
    byte_strings,
    cut,
    decode,
    demand,
    digest,
    progress,
    read_value,
    split,
    well_formed,
)
from py_ecc.bls.point_compression import decompress_G1, decompress_G2
from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2, add, curve_order, eq, is_inf, multiply, neg
from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing

Point = Any
Auxiliary = tuple[bytes, Point]  # D_aux, encoded and decoded


def decode_point(data: bytes) -> Point:
    """A point of prime order from 48 bytes (G1) or 96 (G2), never the identity."""
    numbers: Any = [int.from_bytes(each, "big") for each in cut(data, 48)]
    try:
        point: Point = decompress_G1(numbers[0]) if len(numbers) == 1 else decompress_G2(numbers)
    except Exception:  # py_ecc raises several types
        point = None
    well_formed(point is not None, "not a point of the curve")
    well_formed(not is_inf(point) and is_inf(multiply(point, curve_order)), "a point has another order")
    return point


def combine(points: list[Point], factors: list[int]) -> Point:
    """sum_i factors[i] points[i]"""
    return reduce(add, [multiply(p, f % curve_order) for p, f in zip(points, factors, strict=True)])


def decode_target(data: bytes) -> FQ12:
    """An element of the target group: eq. (19), as f^r = 1. The bytes hold the six coefficients of c in
    f = (1 + c w) / (1 - c w), that of u^i v^j at 2 j + i, where u^2 = -1, v^3 = 1 + u, w^2 = v. In py_ecc
    v = w^2, u = w^6 - 1."""
    numbers = [int.from_bytes(each, "little") for each in cut(data, 48)]
    well_formed(all(n < FQ12.field_modulus for n in numbers), "a coefficient is not canonical")
    coefficients = [0] * 12
    for j, (low, high) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
        coefficients[2 * j + 1], coefficients[2 * j + 7] = low - high, high
    element = (FQ12.one() + FQ12(coefficients)) / (FQ12.one() - FQ12(coefficients))
    well_formed(element**curve_order == FQ12.one(), "not an element of the target group")
    return element


def is_product(value: FQ12, pairs: list[tuple[Point, Point]]) -> bool:
    """Whether value = prod_i e(P_i, Q_i), for e the pairing of py_ecc to the power -3, as arkworks has it."""
    product = FQ12.one()
    for i, (in_g1, in_g2) in enumerate(pairs):
        if i % 16 == 15:
            progress(f"pairing {i + 1} of {len(pairs)}")
        product *= pairing(in_g2, in_g1, final_exponentiate=False)
    return bool(value * final_exponentiate(product) ** 3 == FQ12.one())


@cache
def read_key(data: bytes) -> Fields:
    """A verification key, with four points gamma, or five if it takes labels. Campaigns may share one."""
    key = decode(data, "pvcnn-verification-key")
    in_g2 = [*byte_strings(key["gamma"], 96), key["delta"]]
    key["outputs"] = len(byte_strings(key["public"], 48)) - 4
    well_formed(len(in_g2) == len(set(in_g2)) in (5, 6), "a key that lacks points")
    well_formed(0 < key["frames"] <= 1 << 12 and 0 < key["outputs"] <= 1 << 12, "a key of another size")
    key |= {name: decode_point(key[name]) for name in ("alpha", "beta", "delta")}
    key |= {name: [decode_point(point) for point in key[name]] for name in ("gamma", "public")}
    key["weights_point"] = decode_point(key["weights_commitment"])
    labelled = len(key["gamma"]) == 5
    well_formed(("labels_digest" in key) == labelled, "a key with one half of what labels take")
    return key | {"digest": digest("pvcnn/verification-key", data), "labelled": labelled}


@cache
def read_string(data: bytes) -> Fields:
    """The verifier's half of a reference string of two secrets, neither of which is 0 or 1."""
    string = decode(data, "pvcnn-aggregation-verifier-key")
    good = string["a_g1"] != string["b_g1"] and string["max_proofs"].bit_count() == 1
    well_formed(2 <= string["max_proofs"] <= 1 << 14, "a reference string of another size")
    string |= {name: decode_point(string[name]) for name in ("a_g1", "b_g1", "a_g2", "b_g2")}
    for in_g1, in_g2 in ((string["a_g1"], string["a_g2"]), (string["b_g1"], string["b_g2"])):
        good &= not eq(in_g1, G1) and is_product(FQ12.one(), [(in_g1, G2), (neg(G1), in_g2)])
    well_formed(good, "the reference string is not one of two secrets")
    return string | {"digest": digest("pvcnn/aggregation-string", data)}


def read_statement(data: bytes) -> Fields:
    """A statement with its points: D_in, and D_lab if there is one."""
    fields = decode(data, "pvcnn-statement")
    good = all(type(n) is int and -(2**63) <= n < 2**63 for n in fields["outputs"])
    well_formed(good and 0 < len(fields["outputs"]) <= 1 << 12, "outputs that are not some of 64 bits")
    well_formed(len(fields["context"]) <= 64, "a context of more than 64 bytes")
    names = [name for name in ("features_commitment", "labels_commitment") if name in fields]
    return fields | {"data": data, "points": [decode_point(fields[name]) for name in names]}


class Group:
    """Statements under one key, and their side of eq. (17)."""

    def __init__(self, key: Fields, statements: list[Fields]) -> None:
        self.key, self.statements = key, statements
        demand(bool(statements), "a group without a statement")
        for statement in statements:
            demand(len(statement["outputs"]) == key["outputs"], "another number of outputs")
            labelled = "labels_commitment" in statement
            demand(labelled == key["labelled"], "labels that key or statement lacks")

    def challenges(self, statement: Fields, auxiliary: bytes) -> list[int]:
        """rho, theta, chi of one proof: eq. (9)."""
        transcript, outputs = Transcript("pvcnn/challenges"), [n % 2**64 for n in statement["outputs"]]
        transcript.absorb(("verification key", self.key["digest"]), ("context", statement["context"]))
        transcript.absorb(("number of outputs", len(outputs)), *(("output", value) for value in outputs))
        transcript.absorb(("D_in", statement["features_commitment"]), ("D_w", self.key["weights_commitment"]))
        if self.key["labelled"]:
            transcript.absorb(("D_lab", statement["labels_commitment"]))
        transcript.absorb(("D_aux", auxiliary))
        return [transcript.challenge(name) for name in ("rho", "theta", "chi")]

    def pairs(
        self, auxiliary: list[Auxiliary], weights: list[int], total: Point
    ) -> list[tuple[Point, Point]]:
        """The right side of eq. (17), for D_aux and a weight of each proof and total = sum weight C."""
        key, public = self.key, [0] * len(self.key["public"])
        for weight, statement, (encoded, _) in zip(weights, self.statements, auxiliary, strict=True):
            values = [1, *self.challenges(statement, encoded), *statement["outputs"]]
            public = [so_far + weight * value for so_far, value in zip(public, values, strict=True)]
        points = zip(*(statement["points"] for statement in self.statements), strict=True)
        sums = [combine(list(column), weights) for column in points]
        sums.insert(1, combine([key["weights_point"]], [sum(weights)]))
        sums.append(combine([point for _, point in auxiliary], weights))
        pairs = [(combine([key["alpha"]], [sum(weights)]), key["beta"]), (total, key["delta"])]
        return pairs + list(zip([combine(key["public"], public), *sums], key["gamma"], strict=True))


class Packed:
    """All proofs as they are."""

    def __init__(self, fields: Fields, sizes: list[int]) -> None:
        well_formed(len(fields["proofs"]) == 240 * sum(sizes), "a packed aggregate of another size")
        self.sizes = sizes
        progress(f"decoding {sum(sizes)} proofs")
        parts = [split(proof, 48, 96, 48, 48) for proof in cut(fields["proofs"], 240)]
        self.points = [[decode_point(part) for part in proof] for proof in parts]
        self.auxiliary = [(part[3], proof[3]) for part, proof in zip(parts, self.points, strict=True)]

    def verify(self, _string: Fields, groups: list[Group]) -> None:
        """Eq. (11) of all proofs, merged by weights drawn here."""
        weights, pairs, at = [1 + secrets.randbits(128) for _ in self.points], [], 0
        for weight, (a, b, _, _) in zip(weights, self.points, strict=True):
            pairs.append((neg(multiply(a, weight)), b))
        for group in groups:
            members = slice(at, at + len(group.statements))
            total = combine([proof[2] for proof in self.points[members]], weights[members])
            pairs += group.pairs(self.auxiliary[members], weights[members], total)
            at = members.stop
        demand(is_product(FQ12.one(), pairs), "the proofs do not satisfy equation (11)")


class Folded:
    """A folded aggregate: every value decoded and tested for its group."""

    def __init__(self, fields: Fields, sizes: list[int]) -> None:
        self.fields, self.sizes, self.count = fields, sizes, sum(sizes)
        self.size = max(2, 1 << (self.count - 1).bit_length())
        well_formed(len(fields["auxiliary_commitments"]) == 48 * self.count, "as many D_aux as proofs")
        self.auxiliary = [(each, decode_point(each)) for each in cut(fields["auxiliary_commitments"], 48)]
        well_formed(len(fields["claim"]) == 5 * 288 + 48 * len(sizes), "a claim of another size")
        self.rounds = [split(both, 1488, 1488) for both in byte_strings(fields["rounds"], 2 * 1488)]
        well_formed(self.size == 1 << len(self.rounds), "the rounds do not fit the number of proofs")
        progress(f"decoding {10 * len(self.rounds) + 5} elements of the target group")
        self.targets, self.totals = self.decode_claim(fields["claim"])
        self.crossed = [[self.decode_claim(half) for half in halves] for halves in self.rounds]
        self.final = [decode_point(each) for each in split(fields["final"], 96, 96, 48, 48, 48, 96, 48)]
        self.openings = [decode_point(each) for each in split(fields["openings"], 96, 96, 48, 48)]

    def verify(self, string: Fields, groups: list[Group]) -> None:
        demand(self.size <= string["max_proofs"], "more proofs than the reference string serves")
        self.string, self.groups = string, groups
        self.draw_challenges()
        progress(f"the {self.count} statements' equation (17)")
        self.check_statements()
        progress("the folded commitments")
        self.check_folding()
        progress("the folded reference string (18)")
        self.check_openings()

    def decode_claim(self, data: bytes) -> tuple[list[FQ12], list[Point]]:
        """T_AB, U_AB, T_C, U_C, Z_AB in the target group, then Z_C in G1: eqs. (13) and (17)."""
        targets, totals = split(data, 5 * 288, len(data) - 5 * 288)
        return [decode_target(each) for each in cut(targets, 288)], [decode_point(p) for p in cut(totals, 48)]

    def draw_challenges(self) -> None:
        """Eqs. (14) to (16): every key and statement and every value that is folded goes into them."""
        transcript, statements = Transcript("pvcnn/aggregate"), [s for g in self.groups for s in g.statements]
        transcript.absorb(("reference string", self.string["digest"]), ("groups", len(self.groups)))
        for group, size in zip(self.groups, self.sizes, strict=True):
            transcript.absorb(("verification key", group.key["digest"]), ("proofs", size))
        transcript.absorb(("padded size", self.size))
        for statement, (commitment, _) in zip(statements, self.auxiliary, strict=True):
            transcript.absorb(("statement", statement["data"]), ("D_aux", commitment))
        claim = self.fields["claim"]
        transcript.absorb(("commitments", claim[: 4 * 288]))
        self.r = transcript.challenge("r")
        transcript.absorb(("Z_AB", claim[4 * 288 : 5 * 288]), ("Z_C", claim[5 * 288 :]))
        self.y, self.x = transcript.challenge("y"), []
        for left, right in self.rounds:
            transcript.absorb(("left cross terms", left), ("right cross terms", right))
            self.x.append(transcript.challenge("x"))
        transcript.absorb(("final", self.fields["final"]))
        self.z = transcript.challenge("z")

    def check_statements(self) -> None:
        """Eq. (17). The last statement stands for the padding too: its weight sums the remaining powers."""
        powers, pairs, at = [pow(self.r, i, curve_order) for i in range(self.size)], [], 0
        weights = [*powers[: self.count - 1], sum(powers[self.count - 1 :])]
        for group, size, total in zip(self.groups, self.sizes, self.totals, strict=True):
            pairs += group.pairs(self.auxiliary[at : at + size], weights[at : at + size], total)
            at += size
        demand(is_product(self.targets[4], pairs), "the statements do not satisfy equation (17)")

    def check_folding(self) -> None:
        """Each value Z of the claim becomes Z prod_j left_j^(x_j) right_j^(1/x_j): the final one. Z_C is
        sum_g y^g Z_C,g, and e_i = y^g folds with B."""
        sizes = [*self.sizes[:-1], self.size - sum(self.sizes[:-1])]
        powers = [pow(self.y, g, curve_order) for g in range(len(sizes))]
        values, total = self.targets, combine(self.totals, powers)
        e = [power for power, size in zip(powers, sizes, strict=True) for _ in range(size)]
        for x, ((left, left_totals), (right, right_totals)) in zip(self.x, self.crossed, strict=True):
            inverse, half = pow(x, -1, curve_order), len(e) // 2
            e = [(low + inverse * high) % curve_order for low, high in zip(e[:half], e[half:], strict=True)]
            total = combine([total, *left_totals, *right_totals], [1, x, inverse])
            values = [z * p**x * q**inverse for z, p, q in zip(values, left, right, strict=True)]
        v_a, v_b, w_a, w_b, a, b, c = self.final
        products = [[(a, v_a), (w_a, b)], [(a, v_b), (w_b, b)], [(c, v_a)], [(c, v_b)], [(a, b)]]
        for name, value, pairs in zip(("T_AB", "U_AB", "T_C", "U_C", "Z_AB"), values, products, strict=True):
            demand(is_product(value, pairs), f"{name} does not fold to the final vectors")
        demand(eq(total, combine([c], e)), "Z_C does not fold to the final C")

    def check_openings(self) -> None:
        """Eq. (18): v and w are [f(s)] for s = a and b, with f_v = prod_k (1 + (X/r)^(2^k) / x) and
        f_w = X^N prod_k (1 + x X^(2^k)), where k = 0 belongs to the last challenge x."""
        z, v_at_z, w_at_z = self.z, 1, pow(self.z, self.size, curve_order)
        for k, x in enumerate(reversed(self.x)):
            z_power, r_power = pow(z, 1 << k, curve_order), pow(self.r, 1 << k, curve_order)
            v_at_z = v_at_z * (1 + z_power * pow(x * r_power, -1, curve_order)) % curve_order
            w_at_z = w_at_z * (1 + x * z_power) % curve_order
        (v_a, v_b, w_a, w_b), (pi_v_a, pi_v_b, pi_w_a, pi_w_b) = self.final[:4], self.openings
        for s, v, pi in ((self.string["a_g1"], v_a, pi_v_a), (self.string["b_g1"], v_b, pi_v_b)):
            pairs = [(neg(G1), combine([v, G2], [1, -v_at_z])), (combine([s, G1], [1, -z]), pi)]
            demand(is_product(FQ12.one(), pairs), "a key v is not the reference string's")
        for s, w, pi in ((self.string["a_g2"], w_a, pi_w_a), (self.string["b_g2"], w_b, pi_w_b)):
            pairs = [(combine([w, G1], [1, -w_at_z]), neg(G2)), (pi, combine([s, G2], [1, -z]))]
            demand(is_product(FQ12.one(), pairs), "a key w is not the reference string's")


def read_aggregate(data: bytes) -> Packed | Folded:
    """An aggregate of either scheme."""
    body, _ = read_value(data, 0)
    name = body.get("format") if isinstance(body, dict) else None
    fields = decode(data, name if name == "pvcnn-packed-aggregate" else "pvcnn-aggregate")
    sizes = fields["groups"]
    good = 0 < len(sizes) <= 64 and all(type(n) is int and n > 0 for n in sizes) and sum(sizes) <= 1 << 14
    well_formed(good, "groups of no proofs, or too many")
    return Packed(fields, sizes) if name == "pvcnn-packed-aggregate" else Folded(fields, sizes)


def verify_aggregate(aggregate: Packed | Folded, string: Fields, groups: list[Group]) -> None:
    """Does not return unless the aggregate proves the statements of all groups, in this order."""
    keys = [group.key["digest"] for group in groups]
    demand(len(keys) == len(set(keys)), "two groups with one key")
    sizes = [len(group.statements) for group in groups]
    demand(sizes == [*aggregate.sizes], "the aggregate is of other numbers of proofs")
    aggregate.verify(string, groups)
