"""Opening, contributing to, closing and verifying a ceremony, of either kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.chain import Chain, follow, linked, update_of
from pvcnn.ceremony.contribution import BEACON_NAME, MAX_CONTRIBUTIONS, Contribution, check_name
from pvcnn.ceremony.description import Description, Point
from pvcnn.ceremony.drawing import drawn
from pvcnn.ceremony.folder import CeremonyFolder
from pvcnn.ceremony.knowledge import check_proofs, prove, times
from pvcnn.ceremony.progress import Progress, Silence
from pvcnn.ceremony.state import CeremonyState
from pvcnn.errors import CampaignError, VerificationError

State = TypeVar("State", bound=CeremonyState)


@dataclass(frozen=True, eq=False)
class Verified(Generic[State]):
    """A transcript that holds, and the state that it leads to."""

    chain: Chain
    state: State


class Ceremony(ABC, Generic[State]):
    """One ceremony in its folder. What the two kinds differ in is below, abstract."""

    def __init__(self, folder: CeremonyFolder, description: Description) -> None:
        self.folder = folder
        self._description: Description = description

    @abstractmethod
    def load_state(self, digest: bytes) -> State:
        """The state with this digest. Raises CampaignError if it is missing, DecodeError if malformed."""

    @abstractmethod
    def check_state(self, state: State, points: Mapping[str, Point], progress: Progress) -> None:
        """Raises VerificationError unless the state is that of these secrets' points."""

    def chain(self) -> Chain:
        """The chain, followed. Raises VerificationError, DecodeError, CampaignError."""
        return follow(self._description, self.folder.contributions())

    def verify(self, progress: Progress | None = None) -> Verified[State]:
        """Checks the whole transcript: docs/ceremony.md, section "Verification".

        Raises VerificationError, naming the contribution or the array, DecodeError for malformed files and
        CampaignError for missing ones.
        """
        chain = self.chain()
        state = self.load_state(chain.state)
        self.check_state(state, chain.points, progress or Silence())
        return Verified(chain, state)

    def contribute(self, name: str, entropy: bytes = b"", progress: Progress | None = None) -> Contribution:
        """Multiplies every secret by one drawn here and now, and appends the proof that somebody knew it.

        The transcript is verified first: multiplying what is no honest state could help a forger. Until the
        contribution is there, whole, nothing that belongs to the transcript changes.

        Raises what `verify` raises, CampaignError if the ceremony is closed or someone else was faster,
        and ValueError for a name that `Contribution` refuses.
        """
        check_name(name)
        if name == BEACON_NAME:
            raise ValueError(f"the name {BEACON_NAME!r} is the beacon's")
        progress = progress or Silence()
        before = self.verify(progress)
        self._check_open(before.chain)
        with drawn(self._description.secrets, entropy) as factors:
            return self._append(before, name, factors, None, progress).chain.contributions[-1]

    def close(self, beacon: Beacon, progress: Progress | None = None) -> Verified[State]:
        """Appends the beacon's contribution, the last one, as `contribute` does.

        Raises as `contribute`, and VerificationError if nobody has contributed.
        """
        progress = progress or Silence()
        before = self.verify(progress)
        self._check_open(before.chain)
        if not before.chain.contributors:
            raise VerificationError("nobody has contributed yet: a beacon's secrets are public")
        progress.begin("hashing the beacon", 1 << beacon.log2_iterations)
        factors = beacon.secrets(before.chain.digest, self._description.secrets, progress.advance)
        return self._append(before, BEACON_NAME, factors, beacon, progress)

    def _check_open(self, chain: Chain) -> None:
        if chain.is_closed:
            raise CampaignError(f"{self.folder.path}: a beacon has closed this ceremony")
        if len(chain.contributions) >= MAX_CONTRIBUTIONS:
            raise CampaignError(f"a ceremony has at most {MAX_CONTRIBUTIONS} contributions")

    def _append(
        self,
        before: Verified[State],
        name: str,
        factors: Mapping[str, int],
        beacon: Beacon | None,
        progress: Progress,
    ) -> Verified[State]:
        """Writes the new state, then the link, then removes the old state: each step leaves a transcript."""
        chain, secrets = before.chain, self._description.secrets
        after = before.state.times(factors, progress)
        digest = after.digest()
        ratios = self._description.ratios(factors)
        points = tuple(times(chain.points[secret.name], ratios[secret.name]) for secret in secrets)
        link = Contribution(len(chain.contributions) + 1, name, chain.digest, digest, points, (), beacon)
        if beacon is None:
            update = update_of(self._description, chain, link)
            link = replace(link, proofs=prove(update, [ratios[secret.name] for secret in secrets]))
            check_proofs(update, link.proofs)
        longer = linked(self._description, chain, link)
        # What a machine's error has damaged would end the ceremony once the old state is gone.
        self.check_state(after, longer.points, progress)
        after.save(self.folder.state(digest))
        try:
            self.folder.append(link)
        except CampaignError:
            self.folder.state(digest).unlink(missing_ok=True)
            raise
        self.folder.keep_only(digest)
        return Verified(longer, after)
