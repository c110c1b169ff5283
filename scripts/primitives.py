"""What the second verifier needs beside the curve: artefacts in strict CBOR, hashes, Ed25519. Standard
library alone.

Whatever does not hold ends the program: 1 if it is invalid, 2 if it is malformed.
"""

from __future__ import annotations

import math
import sys
import time
from hashlib import sha256, sha512
from typing import Any

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


def write_value(value: Any) -> bytes:
    """The one encoding of a number from 0 on, bytes, text, or a list or map of such."""
    content: Any = value.encode() if isinstance(value, str) else value
    kind = next(
        i for kind, i in ((int, 0), (bytes, 2), (str, 3), (list, 4), (dict, 5)) if type(value) is kind
    )
    number = content if kind == 0 else len(content)
    size = next(i for i in range(5) if number < (24, 1 << 8, 1 << 16, 1 << 32, 1 << 64)[i])
    following = number.to_bytes(1 << (size - 1), "big") if size else b""
    head = bytes([32 * kind + (23 + size if size else number)]) + following
    if kind == 5:
        return head + b"".join(sorted(write_value(key) + write_value(each) for key, each in value.items()))
    return head + (b"".join(map(write_value, content)) if kind == 4 else content if kind else b"")


#: Every artefact: its version if not 1, its fields with lengths of byte strings or types; ? may be absent.
FORMATS = {
    "pvcnn-signed": "key:32 body:bytes signature:64",
    "pvcnn-manifest": "campaign:32 owner_sealing_key:32 setup_party:str frames:int weights_commitment:48 "
    "private_commitment:32 program_digest:32 verification_key_digest:32 aggregation_verifier_key_digest:32 "
    "cluster_card_digest:32 encryption_plan_digest:32 proving_key_digest:32 aggregation_key_digest:32 "
    "class_names:list logit_scale:0|8 weights_digest:0|32 label_key_digest:0|32 ceremony_digest:0|32 "
    "leak_digest:0|32 broken_rules:list",
    "pvcnn-encryption-plan": "version:2 degree:int moduli:list scale_bits:int input_layout:dict "
    "pixel_bound:8 output_layout:dict feature_step:8 feature_limit:int keys:list flooding_bits:int "
    "layers:list",
    "pvcnn-frame-slots-plan": "degree:int moduli:list scale_bits:int answer_scale:8 input_shape:list "
    "pixel_bound:8 output_shape:list frames:int tiles:list pitch:list margin:int tile_input_shape:list "
    "tile_output_shape:list feature_step:8 feature_limit:int flooding_bits:int blocks:list",
    "pvcnn-leak-summary": "cut:str private:str data:str input_shape:list feature_shape:list "
    "training_frames:int budget_milliseconds:int decoder_steps:int psnr:signed similarity:signed "
    "candidates:int frames_by_decoder:int frames_by_best:int people:list is_blindly_identified:bool "
    "weights_method:str copied_error:int correlation:int shuffled_correlation:int",
    "pvcnn-cluster-card": "sealing_key:32 encryption_key:bytes encryption_plan_digest:32 "
    "evaluation_keys_digest:32",
    "pvcnn-registry": "manifest_digest:32 registrations:list",
    "pvcnn-registration": "manifest_digest:32 upload_digest:32 nonce:32 label_commitment:32|48",
    "pvcnn-answer": "manifest_digest:32 registry_digest:32 index:int answer_digest:0|32 features_digest:0|32 "
    "reason:str",
    "pvcnn-cluster-refusal": "context:32",
    "pvcnn-label-key": "classes:int points:list blinding_point:48",
    "pvcnn-label-opening": "salt:32 labels:list",
    "pvcnn-statement": "features_commitment:48 outputs:list context:bytes labels_commitment:48?",
    "pvcnn-verification-key": "version:2 program_digest:32 frames:int weights_digest:0|32 labels_digest:32? "
    "alpha:48 beta:96 gamma:list delta:96 public:list weights_commitment:48",
    "pvcnn-aggregation-verifier-key": "max_proofs:int a_g1:48 b_g1:48 a_g2:96 b_g2:96",
    "pvcnn-aggregate": "version:2 groups:list auxiliary_commitments:bytes claim:bytes rounds:list final:480 "
    "openings:288",
    "pvcnn-packed-aggregate": "groups:list proofs:bytes",
    "pvcnn-joint": "campaigns:list reference_string:0|32",
    "pvcnn-ceremony-record": "powers:bytes circuit:bytes powers_contributions:list "
    "circuit_contributions:list circuit_key_digest:32 proving_key_digest:32 aggregation_key_digest:32 "
    "aggregation_verifier_key_digest:32",
    "pvcnn-powers-ceremony": "domain_log2:int max_proofs:int state:32 nonce:32",
    "pvcnn-circuit-ceremony": "powers:32 program_digest:32 frames:int weights_digest:0|32 committed:list "
    "base:32 state:32 nonce:32",
    "pvcnn-ceremony-contribution": "number:int name:str previous:32 state:32 points:list proofs:list "
    "beacon:bytes log2_iterations:int",
}
TYPES: dict[str, Any] = {"bytes": bytes, "str": str, "int": int, "list": list, "dict": dict, "bool": bool}
TYPES["signed"] = int


def decode(data: bytes, name: str) -> Fields:
    """The fields of an artefact of format `name`."""
    body, end = read_value(data, 0)
    well_formed(end == len(data) and isinstance(body, dict), f"{name}: not one CBOR map")
    declared = (field.split(":") for field in FORMATS[name].split())
    expected = {field: kind.rstrip("?") for field, kind in declared if kind[-1] != "?" or field in body}
    version, right = body.pop("version", 0), int(expected.pop("version", 1))
    named = type(version) is int and (body.pop("format", None), version) == (name, right)
    well_formed(named and body.keys() == expected.keys(), f"{name}: another format, version or fields")
    for field, kind in expected.items():
        value: Any = body[field]
        fits = type(value) is TYPES.get(kind, bytes) and (kind in TYPES or str(len(value)) in kind.split("|"))
        well_formed(fits and (kind != "int" or value >= 0), f"{name}: field {field} does not fit")
    return Fields(body)


def byte_strings(items: list[Any], length: int) -> list[bytes]:
    well_formed(all(type(i) is bytes and len(i) == length for i in items), f"expected {length} bytes each")
    return items


def number_of_logits(program: dict[str, Any]) -> int:
    """How many numbers a frame's output is made of. Whether layers fit together otherwise is the setup's
    business."""
    shapes: list[list[int]] = [program["input_shape"]]
    for node in program["nodes"]:
        shape, kind = shapes[node["inputs"][0]], node["kind"]
        if "kernel" in node:
            sides = zip(shape[1:], node["padding"][::2], node["padding"][1::2], strict=True)
            windows = zip(sides, node["dilation"], node["kernel"], node["stride"], strict=True)
            outputs = [
                (sum(side) - dilation * (k - 1) - 1) // step + 1 for side, dilation, k, step in windows
            ]
            shape = [node.get("out_channels", shape[0]), *outputs]
        elif kind == "concatenate":
            shape = [sum(shapes[number][0] for number in node["inputs"]), *shape[1:]]
        elif kind in ("linear", "flatten"):
            shape = [node["out_features"] if kind == "linear" else math.prod(shape)]
        shapes.append(shape)
    return math.prod(shapes[program["nodes"][-1]["inputs"][0]])


def split(data: bytes, *lengths: int) -> list[bytes]:
    return [data[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(lengths))]


def cut(data: bytes, length: int) -> list[bytes]:
    return [data[at : at + length] for at in range(0, len(data), length)]


def digest(domain: str, *items: bytes) -> bytes:
    prefixed = (len(item).to_bytes(8, "little") + item for item in (domain.encode(), *items))
    return sha256(b"".join(prefixed)).digest()


#: The order of the groups of BLS12-381.
CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


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
            value = int.from_bytes(squeezed, "little") % CURVE_ORDER
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
