"""The standalone verifier's parts against pvcnn's: the same bytes, the same values, the same verdicts."""

from __future__ import annotations

import random
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pvcnn.aggregate import verifier
from pvcnn.aggregate.aggregate import Aggregate
from pvcnn.aggregate.packed import PackedAggregate
from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.aggregate.statement_groups import statement_groups
from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.points import decode_g1, decode_g2, encode_g1, encode_g2
from pvcnn.algebra.target import pairing_product
from pvcnn.algebra.transcript import Transcript
from pvcnn.encoding import decode
from pvcnn.errors import DecodeError
from pvcnn.qmp.challenges import derive_challenges
from pvcnn.qmp.proof import Proof
from tests.aggregate import standalone
from tests.aggregate.standalone import exit_code, loaded
from tests.aggregate.synthetic import Trapdoor, g1, g2

script = standalone.load()
primitives = standalone.load_part("primitives")

G1_IDENTITY = b"\xc0" + bytes(47)
G1_OUTSIDE = b"\x80" + bytes(46) + b"\x04"


# CBOR


def reads(data: bytes) -> bool:
    return exit_code(lambda: script.decode(data, "pvcnn-label-opening")) == 0


def package_reads(data: bytes) -> bool:
    try:
        fields = decode(data, "pvcnn-label-opening", 1, 1 << 20)
        fields.octets("salt", 32)
        fields.sequence("labels", 1 << 20)
        fields.finish()
    except DecodeError:
        return False
    return True


def test_cbor_reads_what_the_package_reads() -> None:
    rng = random.Random(8949)
    good = cbor2.dumps(
        {"format": "pvcnn-label-opening", "version": 1, "salt": bytes(32), "labels": [300]}, canonical=True
    )
    assert reads(good)
    assert package_reads(good)
    samples = [good[:at] for at in range(len(good))] + [good + b"\0", b"", b"\xf6", b"\x9f\xff"]
    for at in range(8 * len(good)):
        flipped = bytearray(good)
        flipped[at // 8] ^= 1 << (at % 8)
        samples.append(bytes(flipped))
    samples += [rng.randbytes(rng.randrange(1, 40)) for _ in range(300)]
    accepted = [sample for sample in samples if reads(sample)]
    assert accepted == [sample for sample in samples if package_reads(sample)]
    assert 200 < len(accepted) < 400, "flips in the salt and in the labels stay readable"


@pytest.mark.parametrize("version", [True, False, "1", b"1", 0, 2, -1, [1], {}])
def test_versions_are_integers(version: Any) -> None:
    """In Python True == 1."""
    good = {"format": "pvcnn-label-opening", "version": 1, "salt": bytes(32), "labels": [0]}
    for body, read in ((good, True), (good | {"version": version}, False)):
        data = cbor2.dumps(body, canonical=True)
        assert reads(data) == package_reads(data) == read


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("1817"),  # 23 in two bytes
        bytes.fromhex("1900ff"),  # 255 in three
        bytes.fromhex("a2616200616100"),  # keys descending
        bytes.fromhex("a2616100616100"),  # a key twice
        bytes.fromhex("a10000"),  # a key that is a number
        bytes.fromhex("fb3ff0000000000000"),  # a float
        bytes.fromhex("c001"),  # a tag
        bytes.fromhex("5f4100ff"),  # indefinite length
        bytes.fromhex("62c328"),  # not UTF-8
        bytes.fromhex("9b7fffffffffffffff"),  # a list longer than the data
        bytes.fromhex("bb7fffffffffffffff"),
        b"\x81" * 40 + b"\x00",  # nested too deeply
        bytes.fromhex("f6"),  # null
    ],
)
def test_cbor_refuses(data: bytes) -> None:
    assert exit_code(lambda: primitives.read_value(data, 0)) == 2


def test_cbor_values() -> None:
    for value in [0, 23, 24, 255, 256, 2**64 - 1, -1, -(2**64), b"", b"x" * 300, "", "é", True, False]:
        for nested in (value, [value, [value]], {"a": value, "bb": [value], "c": {"d": value}}):
            data = cbor2.dumps(nested, canonical=True)
            assert primitives.read_value(data, 0) == (nested, len(data))


# Ed25519


def signature_code(key: bytes, message: bytes, signature: bytes) -> int:
    return exit_code(lambda: primitives.check_signature(key, message, signature))


def test_signature_of_rfc_8032() -> None:
    """Section 7.1, test 3."""
    key = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert signature_code(key, bytes.fromhex("af82"), signature) == 0
    assert signature_code(key, bytes.fromhex("af83"), signature) == 1


def test_signatures_agree_with_cryptography() -> None:
    rng = random.Random(25519)
    for _ in range(6):
        secret, message = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)), rng.randbytes(50)
        key, signature = secret.public_key().public_bytes_raw(), secret.sign(message)
        assert signature_code(key, message, signature) == 0
        flipped = bytearray(key + message + signature)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        parts = bytes(flipped[:32]), bytes(flipped[32:-64]), bytes(flipped[-64:])
        with pytest.raises((InvalidSignature, ValueError)):
            Ed25519PublicKey.from_public_bytes(parts[0]).verify(parts[2], parts[1])
        assert signature_code(*parts) != 0


def test_signatures_are_not_malleable() -> None:
    secret = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key, signature = secret.public_key().public_bytes_raw(), secret.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + primitives.L
    assert signature_code(key, b"message", signature[:32] + s.to_bytes(32, "little")) == 1


def test_keys_of_small_order_are_malformed() -> None:
    """With such a key R = point, s = 0 signs many messages."""
    for y in (
        0,
        1,
        primitives.P - 1,
        primitives.ORDER_8_Y,
        primitives.P - primitives.ORDER_8_Y,
        primitives.P,
        primitives.P + 1,
    ):
        key = y.to_bytes(32, "little")
        assert signature_code(key, b"message", (1).to_bytes(32, "little") + bytes(32)) == 2


# Hashes and the curve


def test_transcripts_agree() -> None:
    ours, theirs = Transcript("pvcnn/test"), primitives.Transcript("pvcnn/test")
    ours.absorb("item", b"data")
    ours.absorb_integer("number", 7)
    theirs.absorb(("item", b"data"), ("number", 7))
    for label in ("one", "two"):
        assert ours.challenge(label) == theirs.challenge(label)


def test_points_agree() -> None:
    hostile = [bytes(48), G1_IDENTITY, G1_OUTSIDE, b"\xff" * 48, encode_g1(g1(5))[:-1] + b"\0"]
    for data in [*(encode_g1(g1(i)) for i in (1, 2, 12345)), *hostile]:
        try:
            good = bool(decode_g1(data))
        except DecodeError:
            good = False
        assert exit_code(lambda data=data: script.decode_point(data)) == (0 if good else 2)  # type: ignore[misc]
    for data in (encode_g2(g2(1)), encode_g2(g2(777)), bytes(96), b"\xc0" + bytes(95), b"\x80" + bytes(95)):
        try:
            good = bool(decode_g2(data))
        except DecodeError:
            good = False
        assert exit_code(lambda data=data: script.decode_point(data)) == (0 if good else 2)  # type: ignore[misc]


def test_target_elements_agree() -> None:
    pairs = [(g1(3), g2(5)), (g1(7), g2(11))]
    encoded = [(script.decode_point(encode_g1(p)), script.decode_point(encode_g2(q))) for p, q in pairs]
    value = script.decode_target(pairing_product(pairs).encoded)
    assert script.decode_target(bytes(288)) == script.FQ12.one()
    assert script.is_product(value, encoded)
    assert not script.is_product(value, encoded[:1])
    not_canonical = BASE_MODULUS.to_bytes(48, "little") + bytes(240)
    for outside in (not_canonical, b"\xff" * 288, (2).to_bytes(288, "little")):
        assert exit_code(lambda data=outside: script.decode_target(data)) == 2  # type: ignore[misc]


# The aggregate


def test_every_challenge_is_the_packages(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], three: Aggregate
) -> None:
    """So what the package's depend on, these depend on."""
    groups = statement_groups([(trapdoor.vk, [proof.statement for proof in proofs[:3]])])
    theirs = loaded(key, trapdoor, proofs[:3], three.to_bytes()).draw_challenges()
    assert (theirs.r, theirs.y, theirs.x, theirs.z) == verifier._challenges(key.verifier, groups, three)
    for group, labels in ((trapdoor, False), (Trapdoor(3, ("in", "w", "lab", "aux")), True)):
        proof = group.prove()
        statement = script.read_statement(proof.statement.to_bytes())
        assert ("labels_commitment" in statement) == labels
        auxiliary = proof.auxiliary_commitment
        drawn = script.Group(script.read_key(group.vk.to_bytes()), [statement]).challenges(
            statement, encode_g1(auxiliary)
        )
        assert tuple(drawn) == derive_challenges(group.vk, proof.statement, auxiliary)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "progress", lambda text: None)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.usefixtures("quiet")
def test_valid_aggregates_verify(
    count: int, key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]
) -> None:
    loaded(key, trapdoor, proofs[:count]).verify()


@pytest.mark.usefixtures("quiet")
def test_other_statements_are_invalid(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], three: Aggregate
) -> None:
    """Swapped, permuted, repeated: equation (17) fails. Dropped: the numbers differ."""
    a, b, c, d = proofs[:4]
    for changed in ([a, b, d], [b, a, c], [a, b, b]):
        with_others = loaded(key, trapdoor, changed, three.to_bytes())
        assert exit_code(with_others.verify) == 1
    assert exit_code(loaded(key, trapdoor, [a, b], three.to_bytes()).verify) == 1


@pytest.fixture
def one(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> Any:
    """A folded aggregate of one proof, its challenges drawn."""
    return loaded(key, trapdoor, proofs[:1]).draw_challenges()


def test_every_folded_value_is_checked(one: Any) -> None:
    """With the challenges held fixed, so that each equation has to notice by itself."""
    assert exit_code(one.check_folding) == 0
    honest = list(one.targets)
    for i in range(5):
        one.targets = [*honest[:i], honest[i] ** 2, *honest[i + 1 :]]
        assert exit_code(one.check_folding) == 1
    one.targets, one.totals = honest, [script.combine(one.totals, [2])]
    assert exit_code(one.check_folding) == 1


def test_every_opening_is_checked(one: Any) -> None:
    assert exit_code(one.check_openings) == 0
    honest = list(one.openings)
    for i, generator in enumerate([script.G2, script.G2, script.G1, script.G1]):
        one.openings = [*honest[:i], generator, *honest[i + 1 :]]
        assert exit_code(one.check_openings) == 1


def test_shapes_are_checked(
    key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof], three: Aggregate
) -> None:
    fields = cbor2.loads(three.to_bytes())
    changes: list[dict[str, Any]] = [
        {"rounds": fields["rounds"][:1]},
        {"claim": fields["claim"][:-1]},
        {"openings": b""},
        {"groups": []},
        {"groups": [0, 3]},
        {"groups": [2, 1]},
        {"groups": [2]},
        {"groups": [True, 2]},
        {"groups": [3] * 65},
    ]
    for change in changes:
        data = cbor2.dumps(fields | change, canonical=True)
        assert exit_code(lambda data=data: loaded(key, trapdoor, proofs[:3], data)) == 2  # type: ignore[misc]
    small = loaded(key, trapdoor, proofs[:3])
    small.string["max_proofs"] = 2
    assert exit_code(small.verify) == 1


@pytest.mark.usefixtures("quiet")
def test_packed_proofs_verify(key: AggregationKey, trapdoor: Trapdoor, proofs: list[Proof]) -> None:
    data = PackedAggregate((3,), tuple(proofs[:3])).to_bytes()
    loaded(key, trapdoor, proofs[:3], data).verify()
    for others in ([proofs[0], proofs[1], proofs[3]], [proofs[1], proofs[0], proofs[2]], proofs[:2]):
        assert exit_code(loaded(key, trapdoor, others, data).verify) == 1
    for change in (data[:-1], data.replace(b"proofs", b"Proofs")):
        assert exit_code(lambda data=change: loaded(key, trapdoor, proofs[:3], data)) == 2  # type: ignore[misc]
