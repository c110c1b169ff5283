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
    shown = table("Decisions", ">#", "tester", "decision", "label that the tester opened", "")
    for outcome in verdict.outcomes:
        name = names[outcome.index] + ", " if names else ""
        shown.add_row(
            str(outcome.index),
            f"{name}key {outcome.tester[:SHOWN_DIGITS]}",
            escape(_outcome(outcome)),
            "" if outcome.label is None else _NAMES[outcome.label],
            _agreement(outcome),
        )
    results.print(shown)
    for sentence in verdict.sentences():
        results.print(f"  {sentence}", soft_wrap=True, markup=False)
    if verdict.verified:
        results.print("[bold green]VERIFIED[/]")
    else:
        results.print(f"[bold red]NOT VERIFIED[/]: {verdict.proved} proved, {verdict.missing} missing")


def _outcome(outcome: Outcome) -> str:
    if outcome.status is Status.PROVED:
        return ", ".join(_NAMES[decision] for decision in outcome.decisions) + ", proved"
    return f"{outcome.status}: {outcome.reason}"


def _agreement(outcome: Outcome) -> str:
    if outcome.label is None:
        return ""
    return "[green]correct[/]" if outcome.correct else "[red]wrong[/]"
