"""What a cut may cost and give away, and the cheapest cut that keeps to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pvcnn.errors import CutRefused
from pvcnn.leak.summary import LeakSummary
from pvcnn.planning.rows import CutPlan, CutRow


@dataclass(frozen=True)
class Limits:
    """None is no limit. Seconds are those predicted for a frame, shares lie between 0 and 1.

    Retrieval is that of the strongest attack: the right frame among all that were attacked, the right
    person (or class) among those shown.
    """

    encrypted_seconds: float | None = None
    proving_seconds: float | None = None
    features: int | None = None
    frame_retrieval: float | None = None
    person_retrieval: float | None = None

    @property
    def need_attacks(self) -> bool:
        """Whether costs alone do not settle them."""
        return self.frame_retrieval is not None or self.person_retrieval is not None

    def exceeded_by_cost(self, row: CutRow) -> Iterator[str]:
        """What a cut that fits exceeds, in words, whatever it leaks."""
        if row.encrypted is None or row.public is None:
            raise ValueError(f"cut {row.cut!r} has no costs")
        for what, found, most in (
            ("encrypted seconds", row.encrypted.seconds, self.encrypted_seconds),
            ("proving seconds", row.public.prove_seconds, self.proving_seconds),
        ):
            if most is not None and found > most:
                yield f"{what} {found:.3g}, at most {most:g} are allowed"
        if self.features is not None and row.features > self.features:
            yield f"features {row.features}, at most {self.features} are allowed"

    def exceeded_by_leak(self, leak: LeakSummary) -> Iterator[str]:
        """What the attacks on a cut exceed, in words."""
        if self.frame_retrieval is not None and leak.frames_by_best / 1000 > self.frame_retrieval:
            yield (
                f"right frame found for {leak.frames_by_best / 1000:.1%}, "
                f"at most {self.frame_retrieval:.1%} are allowed"
            )
        if self.person_retrieval is None:
            return
        if leak.people is None:
            yield f"nobody is shown by {leak.data}: person retrieval cannot be measured"
        elif leak.people.by_best / 1000 > self.person_retrieval:
            yield (
                f"right {leak.people.kind} named for {leak.people.by_best / 1000:.1%}, "
                f"at most {self.person_retrieval:.1%} are allowed"
            )


@dataclass(frozen=True)
class Choice:
    """The cheapest cut within the limits, and those around it.

    `cheaper` are the cuts that cost less and exceed a limit, each with what it exceeds, cheapest first;
    `dearer` is the next cut that costs more, whatever it exceeds, if there is one.
    """

    row: CutRow
    cheaper: tuple[tuple[CutRow, str], ...]
    dearer: CutRow | None


def cheapest(plan: CutPlan, limits: Limits, attack: Callable[[CutRow], LeakSummary]) -> Choice:
    """The cut of least predicted seconds, encrypted and proving together, that keeps to all limits.

    Of equals that with fewer features. `attack` is asked for cuts that have no leak figures yet, cheapest
    first, until one keeps to the limits. Raises CutRefused, with the reason for each cut, if none does.
    """
    reasons = {row.place: row.refused or "nothing is private" for row in plan.rows if not row.fits}
    by_cost = sorted((row for row in plan.rows if row.fits), key=lambda row: (row.seconds, row.features))
    cheaper: list[tuple[CutRow, str]] = []
    for number, row in enumerate(by_cost, 1):
        exceeded = list(limits.exceeded_by_cost(row))
        if not exceeded and limits.need_attacks:
            row = row if row.leak is not None else replace(row, leak=attack(row))
            assert row.leak is not None
            exceeded = list(limits.exceeded_by_leak(row.leak))
        if not exceeded:
            return Choice(row, tuple(cheaper), next(iter(by_cost[number:]), None))
        reasons[row.place] = "; ".join(exceeded)
        cheaper.append((row, reasons[row.place]))
    listed = merged([(row.cut, reasons[row.place]) for row in plan.rows])
    raise CutRefused(
        "cut=auto: no cut keeps to the limits:\n" + "\n".join(f"  {cuts}: {why}" for cuts, why in listed)
    )


def merged(reasons: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbouring cuts of one reason in a line: "first to last"."""
    lines: list[tuple[str, str, str]] = []
    for cut, reason in reasons:
        if lines and lines[-1][2] == reason:
            lines[-1] = (lines[-1][0], cut, reason)
        else:
            lines.append((cut, cut, reason))
    return [(first if first == last else f"{first} to {last}", reason) for first, last, reason in lines]
