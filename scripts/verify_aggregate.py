#!/usr/bin/env python3
"""Verifies a campaign's public folder: a second implementation, with py_ecc and the standard library alone.

    python scripts/verify_aggregate.py DIR        DIR or DIR/public; exit 0 valid, 1 invalid, 2 malformed

It shares no code with pvcnn and takes none of its shortcuts: equations are checked one by one, and
membership of the target group is f^r = 1. Equation numbers are those of docs/protocol.md.
"""

from __future__ import annotations

import re
import sys
import time
from functools import reduce
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

from py_ecc.bls.point_compression import decompress_G1, decompress_G2
from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2, add, curve_order, eq, is_inf, multiply, neg
from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing

Point = Any
Fields = dict[str, Any]


def demand(condition: bool, complaint: str, code: int = 1) -> None:
    if not condition:
        print("INVALID:" if code == 1 else "malformed:", complaint, file=sys.stderr)
        sys.exit(code)


def well_formed(condition: bool, complaint: str) -> None:
    demand(condition, complaint, 2)


def progress(text: str) -> None:
    print(f"{time.process_time():6.1f} s  {text}", file=sys.stderr, flush=True)


# Encodings and hashes: deterministic CBOR (RFC 8949, 4.2.1) of integers, bytes, text, booleans, lists, maps.


def read_value(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """The value that starts at `at`, and where it ends. Every value has one encoding that is accepted."""
    well_formed(at < len(data) and depth <= 16, "CBOR: cut short or nested too deeply")
    kind, number, at = *divmod(data[at], 32), at + 1
    if kind == 7 and number in (20, 21):
        return number == 21, at
    well_formed(kind < 6 and number < 28, "CBOR: a type that is not allowed")
    if number > 23:
        smallest, size = (24, 1 << 8, 1 << 16, 1 << 32)[number - 24], 1 << (number - 24)
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
        well_formed(at <= len(data) and number >= smallest, "CBOR: cut short or not in the shortest form")
    if kind < 2:
        return (-1 - number if kind else number), at
    well_formed(number <= len(data) - at, "CBOR: cut short")
    if kind < 4:
        content, at = data[at : at + number], at + number
        text = content.decode(errors="replace") if kind == 3 else ""
        well_formed(kind == 2 or text.encode() == content, "CBOR: not UTF-8")
        return (text if kind == 3 else content), at
    items, ends = [], [at]
    for _ in range(number * (kind - 3)):  # a map has keys and values
        item, at = read_value(data, at, depth + 1)
        items.append(item)
        ends.append(at)
    if kind == 4:
        return items, at
    keys = [data[start:end] for start, end in zip(ends[::2], ends[1::2], strict=False)]
    ordered = keys == sorted(set(keys)) and all(isinstance(key, str) for key in items[::2])
    well_formed(ordered, "CBOR: keys that are not texts in ascending order")
    return dict(zip(items[::2], items[1::2], strict=True)), at


#: Every artefact: its version if not 1, its fields with lengths of byte strings or types; ? may be absent.
FORMATS = {
    "pvcnn-signed": "key:32 body:bytes signature:64",
    "pvcnn-manifest": "campaign:32 owner_sealing_key:32 setup_party:str frames:int weights_commitment:48 "
    "private_commitment:32 program_digest:32 verification_key_digest:32 aggregation_verifier_key_digest:32 "
    "cluster_card_digest:32 encryption_plan_digest:32 proving_key_digest:32 aggregation_key_digest:32",
    "pvcnn-cluster-card": "sealing_key:32 encryption_key:bytes encryption_plan_digest:32 "
    "evaluation_keys_digest:32",
    "pvcnn-registry": "manifest_digest:32 registrations:list",
    "pvcnn-registration": "manifest_digest:32 upload_digest:32 nonce:32 label_commitment:32",
    "pvcnn-answer": "manifest_digest:32 registry_digest:32 index:int answer_digest:bytes reason:str",
    "pvcnn-cluster-refusal": "context:32",
    "pvcnn-label-opening": "salt:32 label:int",
    "pvcnn-statement": "features_commitment:48 outputs:list context:32 labels_commitment:48?",
    "pvcnn-verification-key": "version:2 program_digest:32 frames:int weights_digest:0|32 alpha:48 beta:96 "
    "gamma:list delta:96 public:list weights_commitment:48",
    "pvcnn-aggregation-verifier-key": "max_proofs:int a_g1:48 b_g1:48 a_g2:96 b_g2:96",
    "pvcnn-aggregate": "auxiliary_commitments:list claim:2928 rounds:list final:480 openings:288",
}
TYPES: dict[str, Any] = {"bytes": bytes, "str": str, "int": int, "list": list}


def decode(data: bytes, name: str) -> Fields:
    """The fields of an artefact of format `name`."""
    body: Fields
    body, end = read_value(data, 0)
    well_formed(end == len(data) and isinstance(body, dict), f"{name}: not one CBOR map")
    declared = (field.split(":") for field in FORMATS[name].split())
    expected = {field: kind.rstrip("?") for field, kind in declared if kind[-1] != "?" or field in body}
    named = (body.pop("format", None), body.pop("version", None)) == (name, int(expected.pop("version", 1)))
    well_formed(named and body.keys() == expected.keys(), f"{name}: another format, version or fields")
    for field, kind in expected.items():
        value: Any = body[field]
        fits = type(value) is TYPES.get(kind, bytes) and (kind in TYPES or str(len(value)) in kind.split("|"))
        well_formed(fits and (kind != "int" or value >= 0), f"{name}: field {field} does not fit")
    return body


def byte_strings(items: list[Any], length: int) -> list[bytes]:
    well_formed(all(type(i) is bytes and len(i) == length for i in items), f"expected {length} bytes each")
    return items


def split(data: bytes, *lengths: int) -> list[bytes]:
    return [data[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(lengths))]


def digest(domain: str, *items: bytes) -> bytes:
    prefixed = (len(item).to_bytes(8, "little") + item for item in (domain.encode(), *items))
    return sha256(b"".join(prefixed)).digest()


class Transcript:
    """Fiat-Shamir: challenges that depend on everything absorbed before them."""

    def __init__(self, domain: str) -> None:
        self.hash = sha512()
        self.absorb(("domain", domain.encode()))

    def absorb(self, *items: tuple[str, bytes | int]) -> None:
        for label, item in items:
            for data in (label.encode(), item.to_bytes(8, "little") if isinstance(item, int) else item):
                self.hash.update(len(data).to_bytes(8, "little") + data)

    def challenge(self, label: str) -> int:
        value = 0
        while value < 2:
            self.absorb(("challenge", label.encode()))
            squeezed = self.hash.digest()
            self.absorb(("squeezed", squeezed))
            value = int.from_bytes(squeezed, "little") % curve_order
        return value


# Signatures: Ed25519 (RFC 8032, 5.1.7), points as (x, y) modulo 2^255 - 19.

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022


def ed_add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    t = D * p[0] * q[0] * p[1] * q[1] % P
    x, y = (p[0] * q[1] + p[1] * q[0]), (p[1] * q[1] + p[0] * q[0])
    return x * pow(1 + t, -1, P) % P, y * pow(1 - t, -1, P) % P


def ed_multiply(point: tuple[int, int], factor: int) -> tuple[int, int]:
    result = (0, 1)
    for bit in bin(factor)[2:]:
        result = ed_add(ed_add(result, result), point if bit == "1" else (0, 1))
    return result


def ed_decode(data: bytes) -> tuple[int, int]:
    y, sign = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    well_formed(y < P and (x * x - square) % P == 0, "not a point of Ed25519")
    return (x if x % 2 == sign else P - x), y


def check_signature(key: bytes, message: bytes, signature: bytes) -> None:
    """A key of small order is malformed: under it one signature would fit many messages."""
    x, y = ed_decode(key)
    well_formed(y not in (0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y), "an Ed25519 key of small order")
    base = ed_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(sha512(r + key + message).digest(), "little") % L
    got = ed_add(ed_multiply(base, s), ed_multiply((P - x, y), h))
    demand(s < L and (got[1] | got[0] % 2 << 255).to_bytes(32, "little") == r, "a signature does not verify")


def decode_signed(data: bytes, name: str) -> tuple[bytes, Fields]:
    """The signer's key and the fields of a signed artefact."""
    envelope = decode(data, "pvcnn-signed")
    key: bytes = envelope["key"]
    check_signature(key, digest("pvcnn/signature", key, envelope["body"]), envelope["signature"])
    return key, decode(envelope["body"], name)


# The curve BLS12-381.


def decode_point(data: bytes) -> Point:
    """A point of prime order from 48 bytes (G1) or 96 (G2), never the identity."""
    numbers: Any = [int.from_bytes(data[i : i + 48], "big") for i in range(0, len(data), 48)]
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
    """An element of the target group: eq. (19), as f^r = 1. The bytes hold twelve coefficients, that of
    u^i v^j w^h at 6 h + 2 j + i, where u^2 = -1, v^3 = 1 + u, w^2 = v. In py_ecc v = w^2, u = w^6 - 1."""
    numbers = [int.from_bytes(data[i : i + 48], "little") for i in range(0, 576, 48)]
    well_formed(all(n < FQ12.field_modulus for n in numbers), "a coefficient is not canonical")
    coefficients = [0] * 12
    for h in range(2):
        for j in range(3):
            low, high = numbers[6 * h + 2 * j : 6 * h + 2 * j + 2]
            coefficients[2 * j + h], coefficients[2 * j + h + 6] = low - high, high
    element = FQ12(coefficients)
    well_formed(element**curve_order == FQ12.one(), "not an element of the target group")
    return element


def is_product(value: FQ12, pairs: list[tuple[Point, Point]]) -> bool:
    """Whether value = prod_i e(P_i, Q_i), for e the pairing of py_ecc to the power -3, as arkworks has it."""
    product = FQ12.one()
    for in_g1, in_g2 in pairs:
        product *= pairing(in_g2, in_g1, final_exponentiate=False)
    return bool(value * final_exponentiate(product) ** 3 == FQ12.one())


# The aggregate.


class Aggregate:
    """One aggregate with what it is verified against. `verify` does not return if something does not hold."""

    def __init__(self, data: bytes, string: Fields, key: Fields, statements: list[Fields]) -> None:
        self.fields, self.string, self.key = decode(data, "pvcnn-aggregate"), string, key
        self.statements, self.count, self.labelled = statements, len(statements), len(key["gamma"]) == 5
        self.size = max(2, 1 << (self.count - 1).bit_length())
        self.auxiliary = byte_strings(self.fields["auxiliary_commitments"], 48)
        self.rounds = [split(both, 2928, 2928) for both in byte_strings(self.fields["rounds"], 2 * 2928)]
        demand(self.count == len(self.auxiliary), "the aggregate is of another number of proofs")
        demand(self.size <= string["max_proofs"], "more proofs than the reference string serves")
        well_formed(self.size == 1 << len(self.rounds), "the rounds do not fit the number of proofs")
        for statement in statements:
            good = all(type(n) is int and -(2**63) <= n < 2**63 for n in statement["outputs"])
            well_formed(good, "an output has more than 64 bits")
            demand(len(statement["outputs"]) == len(key["public"]) - 4, "another number of outputs")
            demand(("labels_commitment" in statement) == self.labelled, "labels that key or statement lacks")

    def verify(self) -> None:
        self.draw_challenges()
        progress(f"the {self.count} statements' equation (17)")
        self.targets, self.total = self.decode_claim(self.fields["claim"])
        self.check_statements()
        progress("the folded commitments")
        self.check_folding()
        progress("the folded reference string (18)")
        self.check_openings()

    def draw_challenges(self) -> None:
        """Eqs. (14) to (16): every statement and every value that is folded goes into the challenges."""
        transcript = Transcript("pvcnn/aggregate")
        transcript.absorb(("reference string", self.string["digest"]))
        transcript.absorb(("verification key", self.key["digest"]))
        transcript.absorb(("proofs", self.count), ("padded size", self.size))
        for statement, commitment in zip(self.statements, self.auxiliary, strict=True):
            transcript.absorb(("statement", statement["data"]), ("D_aux", commitment))
        commitments, product, total = split(self.fields["claim"], 4 * 576, 576, 48)
        transcript.absorb(("commitments", commitments))
        self.r = transcript.challenge("r")
        transcript.absorb(("Z_AB", product), ("Z_C", total))
        self.x = []
        for left, right in self.rounds:
            transcript.absorb(("left cross terms", left), ("right cross terms", right))
            self.x.append(transcript.challenge("x"))
        transcript.absorb(("final", self.fields["final"]))
        self.z = transcript.challenge("z")

    def decode_claim(self, data: bytes) -> tuple[list[FQ12], Point]:
        """T_AB, U_AB, T_C, U_C, Z_AB in the target group and Z_C in G1: eq. (13), and the totals of (17)."""
        *targets, total = split(data, *[576] * 5, 48)
        return [decode_target(target) for target in targets], decode_point(total)

    def proof_challenges(self, statement: Fields, auxiliary: bytes) -> list[int]:
        """rho, theta, chi of one proof: eq. (9)."""
        transcript, outputs = Transcript("pvcnn/challenges"), [n % 2**64 for n in statement["outputs"]]
        transcript.absorb(("verification key", self.key["digest"]), ("context", statement["context"]))
        transcript.absorb(("number of outputs", len(outputs)), *(("output", value) for value in outputs))
        labels = [("D_lab", statement["labels_commitment"])] if self.labelled else []
        transcript.absorb(("D_in", statement["features_commitment"]), ("D_w", self.key["weights_commitment"]))
        transcript.absorb(*labels, ("D_aux", auxiliary))
        return [transcript.challenge(name) for name in ("rho", "theta", "chi")]

    def check_statements(self) -> None:
        """Eq. (17). The last statement stands for the padding too: its weight sums the remaining powers."""
        powers = [pow(self.r, i, curve_order) for i in range(self.size)]
        weights, key = [*powers[: self.count - 1], sum(powers[self.count - 1 :])], self.key
        public = [0] * len(key["public"])
        for weight, statement, auxiliary in zip(weights, self.statements, self.auxiliary, strict=True):
            values = [1, *self.proof_challenges(statement, auxiliary), *statement["outputs"]]
            public = [total + weight * value for total, value in zip(public, values, strict=True)]
        names = ["features_commitment"] + ["labels_commitment"] * self.labelled
        sums = [combine([decode_point(each[name]) for each in self.statements], weights) for name in names]
        sums.insert(1, combine([decode_point(key["weights_commitment"])], [sum(powers)]))
        sums.append(combine([decode_point(each) for each in self.auxiliary], weights))
        pairs = [(combine([key["alpha"]], [sum(powers)]), key["beta"]), (self.total, key["delta"])]
        pairs += zip([combine(key["public"], public), *sums], key["gamma"], strict=True)
        demand(is_product(self.targets[4], pairs), "the statements do not satisfy equation (17)")

    def check_folding(self) -> None:
        """Each value Z of the claim becomes Z prod_j left_j^(x_j) right_j^(1/x_j): the final one."""
        values, total, scale = self.targets, self.total, 1
        for x, halves in zip(self.x, self.rounds, strict=True):
            inverse = pow(x, -1, curve_order)
            scale = scale * (1 + inverse) % curve_order
            (left, left_total), (right, right_total) = map(self.decode_claim, halves)
            total = combine([total, left_total, right_total], [1, x, inverse])
            values = [z * p**x * q**inverse for z, p, q in zip(values, left, right, strict=True)]
        final = split(self.fields["final"], 96, 96, 48, 48, 48, 96, 48)
        v_a, v_b, w_a, w_b, a, b, c = map(decode_point, final)
        products = [[(a, v_a), (w_a, b)], [(a, v_b), (w_b, b)], [(c, v_a)], [(c, v_b)], [(a, b)]]
        for name, value, pairs in zip(("T_AB", "U_AB", "T_C", "U_C", "Z_AB"), values, products, strict=True):
            demand(is_product(value, pairs), f"{name} does not fold to the final vectors")
        demand(eq(total, combine([c], [scale])), "Z_C does not fold to the final C")

    def check_openings(self) -> None:
        """Eq. (18): v and w are [f(s)] for s = a and b, with f_v = prod_k (1 + (X/r)^(2^k) / x) and
        f_w = X^N prod_k (1 + x X^(2^k)), where k = 0 belongs to the last challenge x."""
        z, v_at_z, w_at_z = self.z, 1, pow(self.z, self.size, curve_order)
        for k, x in enumerate(reversed(self.x)):
            z_power, r_power = pow(z, 1 << k, curve_order), pow(self.r, 1 << k, curve_order)
            v_at_z = v_at_z * (1 + z_power * pow(x * r_power, -1, curve_order)) % curve_order
            w_at_z = w_at_z * (1 + x * z_power) % curve_order
        v_a, v_b, w_a, w_b = map(decode_point, split(self.fields["final"], 96, 96, 48, 48))
        pi_v_a, pi_v_b, pi_w_a, pi_w_b = map(decode_point, split(self.fields["openings"], 96, 96, 48, 48))
        for s, v, pi in ((self.string["a_g1"], v_a, pi_v_a), (self.string["b_g1"], v_b, pi_v_b)):
            pairs = [(neg(G1), combine([v, G2], [1, -v_at_z])), (combine([s, G1], [1, -z]), pi)]
            demand(is_product(FQ12.one(), pairs), "a key v is not the reference string's")
        for s, w, pi in ((self.string["a_g2"], w_a, pi_w_a), (self.string["b_g2"], w_b, pi_w_b)):
            pairs = [(combine([w, G1], [1, -w_at_z]), neg(G2)), (pi, combine([s, G2], [1, -z]))]
            demand(is_product(FQ12.one(), pairs), "a key w is not the reference string's")


# The campaign.

DIRECTORIES = "answers|statements|refusals|labels"
NAMES = "manifest|program|verification_key|aggregation_verifier_key|cluster|encryption_plan|registry"
FILES = rf"(aggregate|{NAMES}|({DIRECTORIES})/[0-9]{{6}})\.cbor"


class Campaign:
    """A public folder. Every byte in it is covered by a signature or digest that leads to the manifest, or by
    the aggregate; a file that nothing covers does not belong there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = folder, set()
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            file = re.fullmatch(FILES, name) and path.is_file()
            directory = re.fullmatch(DIRECTORIES, name) and path.is_dir()
            well_formed(bool(file or directory) and not path.is_symlink(), f"{name!a} does not belong there")
            self.found.add(name)
        manifest = self.read("manifest.cbor")
        self.owner, self.manifest = decode_signed(manifest, "pvcnn-manifest")
        self.manifest_digest, self.party = sha256(manifest).digest(), self.manifest["setup_party"]
        well_formed(self.party.isprintable() and self.party not in ("", "cluster"), "the setup party's name")

    def read(self, name: str, digest_name: str = "") -> bytes:
        """A file, with the digest that the manifest gives as `digest_name`."""
        path = self.folder / name
        well_formed(name in self.found and path.stat().st_size <= 64 << 20, f"{name}: missing or too large")
        data = path.read_bytes()
        same = not digest_name or sha256(data).digest() == self.manifest[digest_name]
        demand(same, f"{name} is not the manifest's")
        return data

    def read_verification_key(self) -> Fields:
        data = self.read("verification_key.cbor", "verification_key_digest")
        key = decode(data, "pvcnn-verification-key")
        in_g2 = [*byte_strings(key["gamma"], 96), key["delta"]]
        outputs = len(byte_strings(key["public"], 48)) - 4
        well_formed(len(in_g2) == len(set(in_g2)) == 5, "a key that lacks points, or takes labels")
        program = digest("pvcnn/program", self.read("program.cbor", "program_digest"))
        demand(key["program_digest"] == program, "the verification key is for another program")
        demand(key["weights_commitment"] == self.manifest["weights_commitment"], "a key for other weights")
        demand(key["frames"] == outputs == self.manifest["frames"] > 0, "a key for other numbers of frames")
        key |= {name: decode_point(key[name]) for name in ("alpha", "beta", "delta")}
        key |= {name: [decode_point(point) for point in key[name]] for name in ("gamma", "public")}
        return key | {"digest": digest("pvcnn/verification-key", data)}

    def read_reference_string(self) -> Fields:
        data = self.read("aggregation_verifier_key.cbor", "aggregation_verifier_key_digest")
        string = decode(data, "pvcnn-aggregation-verifier-key")
        good = string["a_g1"] != string["b_g1"] and string["max_proofs"].bit_count() == 1
        string |= {name: decode_point(string[name]) for name in ("a_g1", "b_g1", "a_g2", "b_g2")}
        for in_g1, in_g2 in ((string["a_g1"], string["a_g2"]), (string["b_g1"], string["b_g2"])):
            good &= not eq(in_g1, G1) and is_product(FQ12.one(), [(in_g1, G2), (neg(G1), in_g2)])
        well_formed(good, "the reference string is not one of two secrets")
        return string | {"digest": digest("pvcnn/aggregation-string", data)}

    def read_registry(self) -> list[tuple[bytes, Fields]]:
        """Every registration with its tester's key, in order."""
        data = self.read("registry.cbor")
        self.registry_digest = sha256(data).digest()
        signer, registry = decode_signed(data, "pvcnn-registry")
        demand(signer == self.owner, "the registry is not signed by the owner")
        items = registry["registrations"]
        well_formed(len(items) <= 1 << 14 and {type(item) for item in items} <= {bytes}, "registrations")
        registrations = [decode_signed(item, "pvcnn-registration") for item in items]
        uploads = [registration["upload_digest"] for _, registration in registrations]
        demand(uploads == sorted(set(uploads)), "an upload is registered twice or out of order")
        named = {registry["manifest_digest"], *(fields["manifest_digest"] for _, fields in registrations)}
        demand(named == {self.manifest_digest}, "a registry or registration of another campaign")
        indices = {int(Path(name).stem) for name in self.found if "/" in name}
        demand(indices <= set(range(len(items))), "a file is of a submission that is not registered")
        return registrations

    def read_answer(self, index: int) -> Fields:
        signer, answer = decode_signed(self.read(f"answers/{index:06d}.cbor"), "pvcnn-answer")
        found = (signer, answer["manifest_digest"], answer["registry_digest"], answer["index"])
        expected = (self.owner, self.manifest_digest, self.registry_digest, index)
        demand(found == expected, f"answer {index} is not the owner's or for another submission")
        length, reason = len(answer["answer_digest"]), answer["reason"]
        well_formed(length == 0 if reason else length == 32, f"answer {index} is neither given nor refused")
        well_formed(len(reason) <= 200 and reason.isprintable(), f"answer {index} has no printable reason")
        return answer

    def read_statement(self, index: int, context: bytes) -> Fields:
        data = self.read(f"statements/{index:06d}.cbor")
        statement = decode(data, "pvcnn-statement")
        demand(all(type(n) is int and 0 <= n < 2 for n in statement["outputs"]), "a decision is 0 or 1")
        demand(statement["context"] == context, f"statement {index} is for another submission")
        return statement | {"data": data}

    def read_label(self, index: int, tester: bytes, registration: Fields) -> str:
        opening = decode(self.read(f"labels/{index:06d}.cbor"), "pvcnn-label-opening")
        well_formed(opening["label"] < 2, "a label is 0 or 1")
        committed = digest("pvcnn/label-commitment", opening["salt"], tester, bytes([opening["label"]]))
        demand(committed == registration["label_commitment"], f"label {index} is not the committed one")
        return "fake" if opening["label"] else "real"

    def verify(self) -> None:
        progress("registry and keys")
        cluster, card = decode_signed(self.read("cluster.cbor", "cluster_card_digest"), "pvcnn-cluster-card")
        plan_digest = sha256(self.read("encryption_plan.cbor", "encryption_plan_digest")).digest()
        demand(card["encryption_plan_digest"] == plan_digest, "the cluster's keys are for another plan")
        registrations, key = self.read_registry(), self.read_verification_key()
        statements, failures = list[Fields](), list[str]()
        for index, (tester, registration) in enumerate(registrations):
            answer, file = self.read_answer(index), f"{index:06d}.cbor"
            number, frames = (n.to_bytes(8, "little") for n in (index, self.manifest["frames"]))
            campaign = (self.manifest["campaign"], self.manifest_digest, self.registry_digest)
            blobs = (registration["upload_digest"], answer["answer_digest"])
            context = digest("pvcnn/context", *campaign, number, tester, *blobs, frames)  # eq. (20)
            present = {name.partition("/")[0] for name in self.found if name.endswith("/" + file)}
            proved, refused = "statements" in present, "refusals" in present
            demand(proved + refused + bool(answer["reason"]) <= 1, f"submission {index} has two outcomes")
            if refused:
                signer, refusal = decode_signed(self.read(f"refusals/{file}"), "pvcnn-cluster-refusal")
                demand((signer, refusal["context"]) == (cluster, context), f"refusal {index} is for another")
            if proved:
                statements.append(self.read_statement(index, context))
                outcome = ", ".join("fake" if output else "real" for output in statements[-1]["outputs"])
            else:
                failures.append("refused" if refused or answer["reason"] else "missing")
                outcome = f"{failures[-1]} {answer['reason']}"
            if "labels" in present:
                outcome += f" (label: {self.read_label(index, tester, registration)})"
            print(f"#{index} tester {sha256(tester).hexdigest()[:16]}: {outcome}")
        demand("missing" not in failures, "a submission has neither a proof nor a signed refusal")
        demand(bool(statements), "nothing was proved")
        Aggregate(self.read("aggregate.cbor"), self.read_reference_string(), key, statements).verify()
        print(
            f"{len(registrations)} submissions registered, {len(statements)} proved: for each of these, the "
            "decisions are the outputs of the committed public part on the committed features.\n"
            f"{len(failures)} refused: these count as failed. Registry {self.registry_digest.hex()}.\n"
            f"Key matches program: trusted to {self.party}. Whoever ran the setup can forge everything.\n"
            "Not proved: that the features are the honest decryption of the honest private part, who ran "
            "the setup, detection quality, that everyone was let into the registry.\nVALID"
        )


if __name__ == "__main__":
    demand(len(sys.argv) == 2, "usage: verify_aggregate.py DIR", 2)
    given = Path(sys.argv[1])
    Campaign(given / "public" if (given / "public").is_dir() else given).verify()
