"""Following a ceremony's chain: docs/ceremony.md, section "Verification".

Needs the contributions alone, none of the states: whoever has no kernels can follow it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pvcnn.ceremony.contribution import Contribution
from pvcnn.ceremony.description import Description, Point
from pvcnn.ceremony.knowledge import Update, check_proofs, times
from pvcnn.errors import VerificationError


@dataclass(frozen=True)
class Chain:
    """A chain that holds. points: the secrets' last ones, by name; digest: of its last link."""

    contributions: tuple[Contribution, ...]
    points: Mapping[str, Point]
    digest: bytes
    state: bytes

    @property
    def is_closed(self) -> bool:
        """Whether a beacon came last."""
        return bool(self.contributions) and self.contributions[-1].beacon is not None

    @property
    def contributors(self) -> tuple[str, ...]:
        """The names of all but the beacon, in order."""
        return tuple(each.name for each in self.contributions if each.beacon is None)


def follow(description: Description, contributions: Sequence[Contribution]) -> Chain:
    """The chain of these contributions, all of them checked.

    Raises VerificationError, naming the contribution, for one that does not build on the one before it, that
    leaves a secret as it was, that proves no knowledge of its secrets or is no beacon's and has none, and for
    anything behind a beacon or a beacon without contributors; further if, in the end, secrets are equal that
    must differ, or one is 1.
    """
    chain = Chain((), start(description), description.digest(), description.state)
    for contribution in contributions:
        try:
            chain = extend(description, chain, contribution)
        except VerificationError as error:
            raise VerificationError(
                f"contribution {len(chain.contributions) + 1} ({contribution.name}): {error}"
            ) from error
    return chain


def start(description: Description) -> dict[str, Point]:
    """The secrets' points before any contribution: every secret is 1."""
    return {secret.name: secret.generator for secret in description.secrets}


def extend(description: Description, chain: Chain, contribution: Contribution) -> Chain:
    """The chain with one more link. Raises VerificationError as `follow`."""
    if chain.is_closed:
        raise VerificationError("it comes after the beacon, which closed the ceremony")
    if contribution.previous != chain.digest or contribution.number != len(chain.contributions) + 1:
        raise VerificationError("it does not build on what comes before it")
    if contribution.state == chain.state:
        raise VerificationError("it leaves the state as it was")
    update = update_of(description, chain, contribution)
    for secret, before, after in zip(update.secrets, update.before, update.after, strict=True):
        if before == after:
            raise VerificationError(f"it leaves {secret.name} as it was")
    if contribution.beacon is None:
        check_proofs(update, contribution.proofs)
    else:
        _check_beacon(description, chain, contribution)
    longer = linked(description, chain, contribution)
    _check_degenerate(description, longer.points)
    return longer


def linked(description: Description, chain: Chain, contribution: Contribution) -> Chain:
    """The chain with one more link that has been checked."""
    names = (secret.name for secret in description.secrets)
    points = dict(zip(names, contribution.points, strict=True))
    links = (*chain.contributions, contribution)
    return Chain(links, points, contribution.digest(), contribution.state)


def update_of(description: Description, chain: Chain, contribution: Contribution) -> Update:
    """What a contribution to `chain` says it changes. Raises VerificationError if points are missing."""
    secrets = description.secrets
    groups = [type(point) for point in contribution.points]
    if groups != [type(secret.generator) for secret in secrets]:
        raise VerificationError("its points are not those of the ceremony's secrets")
    before = tuple(chain.points[secret.name] for secret in secrets)
    return Update(
        contribution.previous,
        contribution.number,
        contribution.name,
        contribution.state,
        secrets,
        before,
        contribution.points,
    )


def _check_beacon(description: Description, chain: Chain, contribution: Contribution) -> None:
    assert contribution.beacon is not None
    if not chain.contributors:
        raise VerificationError("a beacon is public: it closes no ceremony without contributors")
    secrets = contribution.beacon.secrets(chain.digest, description.secrets)
    ratios = description.ratios(secrets)
    for secret, point in zip(description.secrets, contribution.points, strict=True):
        if point != times(chain.points[secret.name], ratios[secret.name]):
            raise VerificationError(f"its {secret.name} does not come from the beacon")


def _check_degenerate(description: Description, points: Mapping[str, Point]) -> None:
    for secret in description.secrets:
        if points[secret.name] == secret.generator:
            raise VerificationError(f"{secret.name} is 1")
    for names in description.distinct:
        for i, name in enumerate(names):
            for other in names[:i]:
                if points[name] == points[other]:
                    raise VerificationError(f"{other} and {name} are equal")
