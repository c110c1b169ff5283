"""A campaign's folder: what lies where, how large it may be, and which step writes it.

DIR/public/    all that a verifier needs: nothing else may lie there, and every byte of it matters
DIR/mail/{owner,cluster}/              sealed blobs, named by their SHA-256
DIR/private/{owner,cluster,tester-*}/  mode 0700, one role each
    remembered/                        what the role holds others and itself to
DIR/keys/      large public keys whose digests stand in the manifest or on the cluster's card
DIR/proofs/    one outcome for each context, until the aggregator folds them (docs/formats.md)
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pvcnn.errors import CampaignError, DecodeError, VerificationError
from pvcnn.files import read_bounded, share, write_once

#: Bounds what a verifier reads before any signature is checked.
MAX_SUBMISSIONS = 1 << 14

_INDEXED_NAME = re.compile(r"([0-9]{6})\.cbor")
_TESTER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class PublicFile:
    """One file of DIR/public: its name, the most bytes it may have and the step that writes it."""

    name: str
    max_bytes: int
    step: str


@dataclass(frozen=True)
class PublicDirectory:
    """One directory of DIR/public that holds at most one file for each registered submission."""

    name: str
    max_bytes: int
    step: str


PROGRAM = PublicFile("program.cbor", 16 << 20, "split")
ENCRYPTION_PLAN = PublicFile("encryption_plan.cbor", 1 << 20, "split")
CLUSTER_CARD = PublicFile("cluster.cbor", 32 << 20, "keygen")
WEIGHTS = PublicFile("weights.safetensors", 1 << 30, "split")
VERIFICATION_KEY = PublicFile("verification_key.cbor", 16 << 20, "setup")
AGGREGATION_VERIFIER_KEY = PublicFile("aggregation_verifier_key.cbor", 1 << 20, "setup")
MANIFEST = PublicFile("manifest.cbor", 1 << 16, "setup")
REGISTRY = PublicFile("registry.cbor", 1024 * MAX_SUBMISSIONS, "infer")
LABEL_KEY = PublicFile("label_key.cbor", 1 << 18, "setup")
LEAK = PublicFile("leak.cbor", 1 << 14, "setup --leak")
CEREMONY = PublicFile("ceremony.cbor", 4 << 20, "setup --ceremony")
AGGREGATE = PublicFile("aggregate.cbor", 64 << 20, "aggregate")

ANSWERS = PublicDirectory("answers", 1 << 12, "infer")
STATEMENTS = PublicDirectory("statements", 1 << 20, "aggregate")
REFUSALS = PublicDirectory("refusals", 1 << 12, "aggregate")
LABELS = PublicDirectory("labels", 1 << 15, "open-labels")

PUBLIC_FILES = (
    PROGRAM,
    ENCRYPTION_PLAN,
    CLUSTER_CARD,
    VERIFICATION_KEY,
    AGGREGATION_VERIFIER_KEY,
    MANIFEST,
    REGISTRY,
    WEIGHTS,
    LABEL_KEY,
    CEREMONY,
    LEAK,
    AGGREGATE,
)
#: What all campaigns under one setup have in common; the optional ones not every campaign has.
_SHARED_FILES = (PROGRAM, ENCRYPTION_PLAN, CLUSTER_CARD, VERIFICATION_KEY, AGGREGATION_VERIFIER_KEY)
OPTIONAL_FILES = (WEIGHTS, LABEL_KEY, CEREMONY, LEAK)
PUBLIC_DIRECTORIES = (ANSWERS, STATEMENTS, REFUSALS, LABELS)


def _indexed_name(index: int) -> str:
    return f"{index:06d}.cbor"


def read_from_step(path: Path, max_bytes: int, step: str) -> bytes:
    """The file's bytes; if it is missing, a CampaignError that names it and the step that writes it."""
    if not path.exists():
        raise CampaignError(f"{path} is missing: it is written by `pvcnn {step}`")
    return read_bounded(path, max_bytes)


def publish(path: Path, data: bytes) -> None:
    """Writes a file that is never replaced. Raises CampaignError if its step has run already."""
    if not write_once(path, data):
        raise CampaignError(f"{path} exists already: this step runs once in a campaign")


class PublicFolder:
    """DIR/public, as a verifier who has nothing else reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(cls, path: Path) -> PublicFolder:
        """The public folder at `path` or at `path`/public. Raises CampaignError if there is neither."""
        if (path / "public").is_dir():
            return cls(path / "public")
        if path.name == "public" or (path / MANIFEST.name).exists():
            return cls(path)
        raise CampaignError(f"{path / 'public' / MANIFEST.name} is missing: it is written by `pvcnn setup`")

    def file(self, which: PublicFile) -> Path:
        return self.path / which.name

    def indexed(self, which: PublicDirectory, index: int) -> Path:
        return self.path / which.name / _indexed_name(index)

    def read(self, which: PublicFile) -> bytes:
        """Raises CampaignError, naming the step, if the file is missing; DecodeError if too large."""
        return read_from_step(self.file(which), which.max_bytes, which.step)

    def read_indexed(self, which: PublicDirectory, index: int) -> bytes:
        """As `read`, for the file of submission `index`."""
        return read_from_step(self.indexed(which, index), which.max_bytes, which.step)

    def indices(self, which: PublicDirectory) -> set[int]:
        """The submissions that have a file in `which`.

        Raises DecodeError for a name that is not that of a submission, and for links and directories.
        """
        directory = self.path / which.name
        if not directory.exists():
            return set()
        found = set()
        with os.scandir(directory) as entries:
            for entry in entries:
                match = _INDEXED_NAME.fullmatch(entry.name)
                if match is None or not entry.is_file(follow_symlinks=False):
                    raise DecodeError(f"{directory / entry.name} does not belong in a public folder")
                found.add(int(match[1]))
        return found

    def refuse_strangers(self, submissions: int) -> None:
        """Raises unless the folder holds allowed names only, and files of registered submissions only.

        A file that nothing covers could be changed unnoticed, so there is no such file: DecodeError
        for an unknown name, VerificationError for a submission that is not registered.
        """
        files = {which.name for which in PUBLIC_FILES}
        directories = {which.name for which in PUBLIC_DIRECTORIES}
        with os.scandir(self.path) as entries:
            for entry in entries:
                known_file = entry.name in files and entry.is_file(follow_symlinks=False)
                known_directory = entry.name in directories and entry.is_dir(follow_symlinks=False)
                if not known_file and not known_directory:
                    raise DecodeError(f"{self.path / entry.name} does not belong in a public folder")
        for which in PUBLIC_DIRECTORIES:
            beyond = {index for index in self.indices(which) if index >= submissions}
            if beyond:
                raise VerificationError(f"{which.name}: submission {min(beyond)} is not in the registry")


class CampaignFolder:
    """The whole folder, of which each role uses its own part."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.public = PublicFolder(root / "public")

    @classmethod
    def create(cls, root: Path) -> CampaignFolder:
        """Makes the directories that several roles share. Raises CampaignError if `root` is in use."""
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise CampaignError(f"{root} is not an empty directory: a campaign needs one of its own")
        folder = cls(root)
        for path in (
            *(folder.public.path / which.name for which in PUBLIC_DIRECTORIES),
            folder.mail("owner"),
            folder.mail("cluster"),
            folder.keys,
            folder.proofs,
        ):
            path.mkdir(parents=True)
        (root / "private").mkdir(mode=0o700)
        return folder

    def create_sibling(self, root: Path) -> CampaignFolder:
        """A folder for a further campaign under this one's program, keys and commitments.

        What `split`, `keygen` and `setup` made for everyone is shared, by hard links where the file system
        has them; manifest, registry, mail and everything private are a campaign's own. Raises CampaignError
        if `root` is in use or a file is missing here.
        """
        sibling = self.create(root)
        here = [which for which in OPTIONAL_FILES if self.public.file(which).exists()]
        for which in (*_SHARED_FILES, *here):
            share(self.public.file(which), sibling.public.file(which))
        for path in (
            self.proving_key,
            self.bare_verification_key,
            self.aggregation_key,
            self.evaluation_keys,
        ):
            share(path, sibling.keys / path.name)
        return sibling

    def mail(self, role: str) -> Path:
        """Where sealed blobs for `role`, 'owner' or 'cluster', are put."""
        return self.root / "mail" / role

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def proofs(self) -> Path:
        return self.root / "proofs"

    @property
    def proving_key(self) -> Path:
        return self.keys / "proving_key.safetensors"

    @property
    def bare_verification_key(self) -> Path:
        """The verification key as the setup leaves it, before the owner commits to the weights."""
        return self.keys / "bare_verification_key.cbor"

    @property
    def aggregation_key(self) -> Path:
        return self.keys / "aggregation_key.bin"

    @property
    def sealed_weights(self) -> Path:
        """The public part's weights and the blinding of D_w, sealed to the cluster, if they are committed."""
        return self.mail("cluster") / "weights.sealed"

    @property
    def evaluation_keys(self) -> Path:
        return self.keys / "evaluation_keys.bin"

    def outcome(self, context: bytes) -> Path:
        """The only outcome of the submission whose context this is: a proof or the cluster's refusal."""
        return self.proofs / f"{context.hex()}.cbor"

    @property
    def key_cache(self) -> Path | None:
        """Where provers keep a prepared proving key: the cluster's private directory, if it is here."""
        path = self.root / "private" / "cluster"
        return path if path.is_dir() else None

    def private(self, role: str) -> Path:
        """The directory of 'owner', 'cluster' or 'tester-NAME'; made, mode 0700, if it is not there."""
        path = self.root / "private" / role
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def remembered(self, role: str) -> Path:
        """Where a role keeps what it has published or relied on, and holds others and itself to."""
        path = self.private(role) / "remembered"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def private_of_tester(self, name: str) -> Path:
        """Raises CampaignError if `name` could not be part of a file name."""
        if not _TESTER_NAME.fullmatch(name):
            raise CampaignError(f"{name!r} cannot name a tester: use 1 to 32 of a-z, 0-9 and inner dashes")
        return self.private(f"tester-{name}")
