"""A ceremony's files: all of it, so that a copy of the folder is a copy of the transcript.

ceremony.cbor                 its description
contributions/NNNNNN.cbor     the chain, from 000001 on, only ever added to
states/DIGEST.safetensors     the state that the last contribution left, or the one being written
program.cbor, base.safetensors, powers/    a circuit's: the program, what it gives, the powers' own folder
record.cbor, keys/            what `finalize` makes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pvcnn.ceremony import contribution, description
from pvcnn.ceremony.contribution import MAX_CONTRIBUTIONS, Contribution
from pvcnn.ceremony.description import Description, description_from_bytes
from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import read_bounded, write_atomically, write_once

_DIGITS: Final = 6


class CeremonyFolder:
    """The folder of one ceremony."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> CeremonyFolder:
        """A new folder; `describe` makes it a ceremony's. Raises CampaignError if the path exists."""
        folder = cls(path)
        try:
            path.mkdir(parents=True)
            (path / "contributions").mkdir()
            (path / "states").mkdir()
        except FileExistsError as error:
            raise CampaignError(f"{path} exists already") from error
        except OSError as error:
            raise CampaignError(f"cannot create {path}: {error.strerror}") from error
        return folder

    @property
    def program(self) -> Path:
        return self.path / "program.cbor"

    @property
    def weights(self) -> Path:
        return self.path / "published_weights.safetensors"

    @property
    def base(self) -> Path:
        return self.path / "base.safetensors"

    @property
    def powers(self) -> Path:
        return self.path / "powers"

    @property
    def record(self) -> Path:
        return self.path / "record.cbor"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    def state(self, digest: bytes) -> Path:
        """Where the state with this digest lies."""
        return self.path / "states" / f"{digest.hex()}.safetensors"

    def describe(self, given: Description) -> None:
        """Writes the description, the last thing that a new ceremony needs."""
        write_atomically(self._description, given.to_bytes())

    def description(self) -> Description:
        """Raises CampaignError if there is none, and DecodeError for a malformed one."""
        if not self._description.exists():
            raise CampaignError(
                f"{self.path} is no ceremony, or `ceremony init` did not finish it: remove it and begin again"
            )
        return description_from_bytes(read_bounded(self._description, description.MAX_BYTES))

    def contributions(self) -> list[Contribution]:
        """All of them, in order. Raises DecodeError for a malformed one or for other files there."""
        return [Contribution.from_bytes(data) for data in self.contribution_bytes()]

    def contribution_bytes(self) -> list[bytes]:
        """As `contributions`, as they lie there."""
        names = sorted(self._names())
        wanted = [_file_name(number) for number in range(1, len(names) + 1)]
        if names != wanted or len(names) > MAX_CONTRIBUTIONS:
            strange = next((name for name in names if name not in wanted), "one too many")
            raise DecodeError(f"contributions/ has a gap or a strange file: {strange}")
        return [read_bounded(self._contributions / name, contribution.MAX_BYTES) for name in names]

    def append(self, link: Contribution) -> None:
        """Adds a link, whole or not at all. Raises CampaignError if another one was faster."""
        if not write_once(self._contributions / _file_name(link.number), link.to_bytes()):
            raise CampaignError(
                f"somebody else has made contribution {link.number} in the meantime: contribute again"
            )

    def keep_only(self, digest: bytes) -> None:
        """Removes all whole states but one: those that contributions went on from, or that no link names."""
        for path in (self.path / "states").glob("*.safetensors"):
            if path != self.state(digest):
                with suppress(FileNotFoundError):
                    path.unlink()

    @property
    def _description(self) -> Path:
        return self.path / "ceremony.cbor"

    @property
    def _contributions(self) -> Path:
        return self.path / "contributions"

    def _names(self) -> Iterator[str]:
        try:
            for path in self._contributions.iterdir():
                if not path.name.startswith(".partial-"):  # being written, or left by an interruption
                    yield path.name
        except OSError as error:
            raise CampaignError(f"cannot read {self._contributions}: {error.strerror}") from error


def _file_name(number: int) -> str:
    return f"{number:0{_DIGITS}}.cbor"
