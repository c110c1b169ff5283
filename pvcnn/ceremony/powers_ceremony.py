"""The ceremony of the powers: phase 1 of every circuit that they are long enough for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pvcnn.aggregate.reference_string import padded_size
from pvcnn.ceremony.ceremony import Ceremony
from pvcnn.ceremony.description import Point, PowersDescription
from pvcnn.ceremony.folder import CeremonyFolder
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.powers_check import check_powers
from pvcnn.ceremony.progress import Progress
from pvcnn.errors import DecodeError


class PowersCeremony(Ceremony[PowersState]):
    """See `Ceremony`."""

    def __init__(self, folder: CeremonyFolder, description: PowersDescription) -> None:
        super().__init__(folder, description)
        self.description = description

    @classmethod
    def create(cls, path: Path, domain_log2: int, max_proofs: int) -> PowersCeremony:
        """A new ceremony in `path`, for circuits of up to 2^domain_log2 constraints.

        Raises CampaignError if the path exists, ValueError for numbers that no description may have.
        """
        state = PowersState.initial(domain_log2, padded_size(max_proofs))
        description = PowersDescription(domain_log2, padded_size(max_proofs), state.digest())
        PowersDescription.from_bytes(description.to_bytes())
        folder = CeremonyFolder.create(path)
        state.save(folder.state(description.state))
        folder.describe(description)
        return cls(folder, description)

    @classmethod
    def open(cls, path: Path) -> PowersCeremony:
        """Raises CampaignError and DecodeError as `CeremonyFolder.description`."""
        folder = CeremonyFolder(path)
        description = folder.description()
        if not isinstance(description, PowersDescription):
            raise DecodeError(f"{path}: this is a circuit's ceremony, not one of powers")
        return cls(folder, description)

    def load_state(self, digest: bytes) -> PowersState:
        return PowersState.load(self.folder.state(digest), digest, self.description)

    def check_state(self, state: PowersState, points: Mapping[str, Point], progress: Progress) -> None:
        check_powers(state, points, progress)
