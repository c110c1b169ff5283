"""Nothing secret is in a public file: neither by its fields nor by its bytes."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.audit_secret import AuditSecret, frame_seed
from pvcnn.program.private import PrivateConvolution, private_evaluate
from tests.campaign.tiny import FEATURE_STEP, Played

ENVELOPE = {"key", "body", "signature"}
#: All fields of every format that occurs in a public folder, besides format and version.
ALLOWED: dict[str, set[str]] = {
    "pvcnn-signed": ENVELOPE,
    "pvcnn-manifest": {
        "campaign",
        "owner_sealing_key",
        "setup_party",
        "frames",
        "weights_commitment",
        "private_commitment",
        "program_digest",
        "verification_key_digest",
        "aggregation_verifier_key_digest",
        "cluster_card_digest",
        "encryption_plan_digest",
        "proving_key_digest",
        "aggregation_key_digest",
        "class_names",
        "logit_scale",
        "weights_digest",
        "label_key_digest",
        "ceremony_digest",
        "leak_digest",
        "broken_rules",
    },
    "pvcnn-cluster-card": {
        "sealing_key",
        "encryption_key",
        "encryption_plan_digest",
        "evaluation_keys_digest",
    },
    "pvcnn-encryption-public-key": {"plan", "seed", "body"},
    "pvcnn-encryption-plan": {
        "degree",
        "moduli",
        "scale_bits",
        "input_layout",
        "pixel_bound",
        "output_layout",
        "feature_step",
        "feature_limit",
        "keys",
        "flooding_bits",
        "layers",
    },
    "pvcnn-program": {"input_shape", "input_low", "input_high", "nodes"},
    "pvcnn-verification-key": {
        "program_digest",
        "frames",
        "weights_digest",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "public",
        "weights_commitment",
    },
    "pvcnn-aggregation-verifier-key": {"max_proofs", "a_g1", "b_g1", "a_g2", "b_g2"},
    "pvcnn-registry": {"manifest_digest", "registrations"},
    "pvcnn-registration": {"manifest_digest", "upload_digest", "nonce", "label_commitment"},
    "pvcnn-answer": {
        "manifest_digest",
        "registry_digest",
        "index",
        "answer_digest",
        "features_digest",
        "reason",
    },
    "pvcnn-cluster-refusal": {"context"},
    "pvcnn-statement": {"features_commitment", "outputs", "context"},
    "pvcnn-label-opening": {"salt", "labels"},
    "pvcnn-leak-summary": {
        "cut",
        "private",
        "data",
        "input_shape",
        "feature_shape",
        "training_frames",
        "budget_milliseconds",
        "decoder_steps",
        "psnr",
        "similarity",
        "candidates",
        "frames_by_decoder",
        "frames_by_best",
        "people",
        "is_blindly_identified",
        "weights_method",
        "copied_error",
        "correlation",
        "shuffled_correlation",
    },
    "pvcnn-packed-aggregate": {"groups", "proofs"},
}
#: Maps inside artefacts that have no format of their own.
ALLOWED_LAYERS = [
    {"name", "kind", "primes", "headroom_bits", "precision_bits", "proved"},
    {"element", "primes"},
    {"rows", "columns", "ciphertexts", "parts", "slots", "copies"},
    {"kind", "count", "by_decoder", "by_best", "chance"},
    {"kind", "name", "inputs"},
    {"kind", "name", "inputs", "in_features", "out_features", "weight_bits", "bias_bits"},
    {"kind", "name", "inputs", "shift", "low", "values"},
]
#: Secrets are looked for in pieces of this many bytes.
PIECE = 24


def public_files(played: Played) -> list[Path]:
    return sorted(path for path in played.folder.public.path.rglob("*") if path.is_file())


def maps_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every map in an artefact and in the artefacts that are nested in it as byte strings."""
    match value:
        case dict():
            yield value
            for item in value.values():
                yield from maps_in(item)
        case list():
            for item in value:
                yield from maps_in(item)
        case bytes() if b"pvcnn-" in value:
            yield from maps_in(cbor2.loads(value))


def test_public_files_hold_known_fields_only(played: Played) -> None:
    seen = set()
    for path in public_files(played):
        for found in maps_in(cbor2.loads(path.read_bytes())):
            if "format" not in found:
                assert set(found) in ALLOWED_LAYERS, f"{path.name}: {sorted(found)}"
                continue
            fields = set(found) - {"format", "version"}
            assert fields == ALLOWED[found["format"]], f"{path.name}: {found['format']}"
            seen.add(found["format"])
    assert seen == set(ALLOWED) - {"pvcnn-cluster-refusal"}


def encodings(values: NDArray[Any], name: str) -> Iterator[tuple[str, bytes]]:
    """An array as bytes of every type in which it might have been written down."""
    kinds: tuple[Any, ...] = ("<f8", "<f4", ">f8")
    if np.issubdtype(values.dtype, np.integer):
        kinds = (*kinds, "i1", "<i2", "<i4", "<i8", ">i8")
    for kind in kinds:
        yield f"{name} as {kind}", values.ravel().astype(kind).tobytes()


def secrets_of(played: Played) -> Iterator[tuple[str, bytes]]:
    """Everything that a role keeps to itself, named."""
    root = played.folder.root
    for path in sorted((root / "private").rglob("*")):
        published = path.name.startswith("label-") or path.parent.name == "remembered"
        public = published or path.name.startswith("prepared_key-")  # made of the proving key
        if path.is_file() and not public:
            fields = cbor2.loads(path.read_bytes())
            for name, value in fields.items():
                if isinstance(value, bytes) and name not in ("campaign", "plan", "program"):
                    yield f"{path.parent.name}/{path.name}: {name}", value
    yield from audit_secrets(played)
    for layer in played.private.layers:
        if isinstance(layer, PrivateConvolution):
            yield from encodings(layer.weight, "private weights")
    yield from encodings(played.public.weights.flat(), "public part's weights")
    blinding = played.public.weights.blinding
    yield "blinding of the weights", blinding.to_bytes(32, "little")
    yield "blinding of the weights, big-endian", blinding.to_bytes(32, "big")
    frames = np.stack(played.frames)
    features = private_evaluate(played.private, frames)
    for i, (frame, feature) in enumerate(zip(frames, features, strict=True)):
        yield from encodings(frame, f"frame {i}")
        yield from encodings(np.rint(frame * 127 / np.abs(frame).max()).astype(np.int64), f"frame {i}")
        yield from encodings(feature, f"features {i}")
        yield from encodings(np.rint(feature / FEATURE_STEP).astype(np.int64), f"quantised features {i}")


def audit_secrets(played: Played) -> Iterator[tuple[str, bytes]]:
    """What an audit would show of each submission: seeds of answers and frames, blindings of features."""
    folder = played.folder
    owner, cluster = (AuditSecret.load_from(folder.private(role), "split") for role in ("owner", "cluster"))
    proceedings = Proceedings.read(folder.public)
    registry = proceedings.registry.digest()
    for index, registration in enumerate(proceedings.registry.registrations):
        seed = owner.answer_seed(registry, index, registration.upload_digest)
        yield f"seed {index}", seed
        yield f"frame's seed {index}", frame_seed(seed, registry, index, 0)
        context = proceedings.submission(folder.public, index).context
        for order in ("little", "big"):
            yield f"nu_in {index}", cluster.features_blinding(context).to_bytes(32, order)


def disguises(piece: bytes) -> Iterator[bytes]:
    """A piece of a secret raw, in hexadecimal, and in base64 at any of the three alignments."""
    yield piece
    yield piece.hex().encode()
    yield piece.hex().upper().encode()
    for skip in range(3):
        whole = piece[skip : skip + 3 * ((len(piece) - skip) // 3)]
        yield base64.b64encode(whole)
        yield base64.urlsafe_b64encode(whole)


class Needles:
    """Pieces of secrets in every disguise, to be looked for all at once."""

    def __init__(self, secrets: Iterable[tuple[str, bytes]]) -> None:
        self._named = [
            (name, disguise)
            for name, secret in secrets
            for at in range(0, max(1, len(secret) - PIECE + 1), PIECE)
            if len(set(piece := secret[at : at + PIECE])) > 2  # padding and runs of zeros are no secret
            for disguise in disguises(piece)
        ]
        self._heads = np.frombuffer(b"".join(needle[:8] for _, needle in self._named), np.uint64)
        self._sieve = np.zeros(1 << 24, np.bool_)
        self._sieve[self._heads & np.uint64(0xFFFFFF)] = True

    def found_in(self, haystack: bytes) -> set[str]:
        """Names of the secrets of which a piece occurs: three bytes sieve, the whole piece decides."""
        octets = np.frombuffer(haystack, np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(octets, 8).copy().view(np.uint64).ravel()
        windows = windows[self._sieve[windows & np.uint64(0xFFFFFF)]]
        candidates = np.flatnonzero(np.isin(self._heads, windows))
        return {self._named[i][0] for i in candidates if self._named[i][1] in haystack}


@pytest.fixture(scope="module")
def needles(played: Played) -> Needles:
    return Needles(secrets_of(played))


def test_the_search_finds_what_is_there(played: Played, needles: Needles) -> None:
    secret = bytes(range(100, 180))
    for hidden in (secret, base64.b64encode(b"x" + secret), secret.hex().encode()):
        assert Needles([("it", secret)]).found_in(b"before" + hidden + b"after") == {"it"}
    assert not Needles([("it", secret)]).found_in(bytes(range(64)) * 20)
    everything = b"".join(secret for _, secret in secrets_of(played))
    assert needles.found_in(everything) >= {
        "owner/identity.cbor: signing",
        "owner/opening.cbor: salt",
        "owner/audit_secret.cbor: value",
        "cluster/audit_secret.cbor: value",
        "frame's seed 2",
        "nu_in 3",
        "cluster/identity.cbor: sealing",
        "cluster/encryption_secret_key.bin: polynomial",
        "tester-0/identity.cbor: signing",
        "private weights as <f8",
        "public part's weights as i1",
        "frame 3 as <f8",
        "frame 3 as i1",
        "quantised features 2 as i1",
    }


def test_no_secret_occurs_in_a_public_file(played: Played, needles: Needles) -> None:
    for path in public_files(played):
        assert not needles.found_in(path.read_bytes()), path


def test_no_secret_occurs_in_what_roles_pass_on(played: Played, needles: Needles) -> None:
    """Mail is sealed, and keys and proofs are public too."""
    for directory in ("mail", "keys", "proofs"):
        for path in (played.folder.root / directory).rglob("*"):
            if path.is_file():
                assert not needles.found_in(path.read_bytes()), path


def test_only_their_role_can_read_private_files(played: Played) -> None:
    private = played.folder.root / "private"
    assert private.stat().st_mode & 0o777 == 0o700
    for path in private.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_verifying_needs_no_heavy_package(played: Played) -> None:
    """The whole verification, not its imports alone, without the packages of the other roles."""
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'ray', 'tenseal', 'numba', 'llvmlite', 'safetensors'):
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Blocker())
from pathlib import Path
from pvcnn.campaign.verification.auditor import verify
assert verify(Path({str(played.folder.public.path)!r})).verified
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
