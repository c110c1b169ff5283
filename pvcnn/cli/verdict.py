"""A verdict as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape

from pvcnn.campaign.report import SHOWN_DIGITS, Outcome, Status, Verdict
from pvcnn.cli.output import results, table

_NAMES = {0: "real", 1: "fake"}


def print_verdict(verdict: Verdict, names: Mapping[int, str] | None = None) -> None:
    """The decisions, the sentences on what is and is not proved, and the verdict itself.

    `names`, where somebody knows them, says who is behind each submission of the registry.
    """
    shown = table("Decisions", ">#", ">frame", "tester", "decision", "label that the tester opened", "")
    for outcome in verdict.outcomes:
        name = names[outcome.index] + ", " if names else ""
        who = f"{name}key {outcome.tester[:SHOWN_DIGITS]}"
        for frame in range(verdict.frames if outcome.decisions or outcome.labels else 1):
            shown.add_row(str(outcome.index), str(frame), who, *_row(outcome, frame))
    results.print(shown)
    for sentence in verdict.sentences():
        results.print(f"  {sentence}", soft_wrap=True, markup=False)
    if verdict.verified:
        results.print("[bold green]VERIFIED[/]")
    else:
        results.print(f"[bold red]NOT VERIFIED[/]: {verdict.proved} proved, {verdict.missing} missing")


def _row(outcome: Outcome, frame: int) -> tuple[str, str, str]:
    """Decision, label and agreement of one frame of a submission."""
    decision = outcome.decisions[frame] if outcome.status is Status.PROVED else None
    said = f"{outcome.status}: {outcome.reason}" if decision is None else f"{_NAMES[decision]}, proved"
    if outcome.labels is None:
        return escape(said), "", ""
    label = outcome.labels[frame]
    return escape(said), _NAMES[label], "[green]correct[/]" if decision == label else "[red]wrong[/]"
