"""A verdict as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape

from pvcnn.campaign.artefacts.revealed import Kind
from pvcnn.campaign.joint.report import JointVerdict
from pvcnn.campaign.verification.report import SHOWN_DIGITS, Outcome, Status, Verdict
from pvcnn.cli.output import results, table

_SHOWN_LOGITS = 10


def print_verdict(verdict: Verdict, names: Mapping[int, str] | None = None) -> None:
    """The decisions, the sentences on what is and is not proved, and the verdict itself.

    `names`, where somebody knows them, says who is behind each submission of the registry.
    """
    _print_campaign(verdict, names)
    if verdict.verified:
        results.print("[bold green]VERIFIED[/]")
    else:
        results.print(f"[bold red]NOT VERIFIED[/]: {verdict.proved} proved, {verdict.missing} missing")


def print_joint_verdict(joint: JointVerdict) -> None:
    """Each campaign under its name, then what the one aggregate says and relies on, and the verdict."""
    for name, verdict in joint.campaigns:
        results.rule(f"[bold]campaign {name}[/], owner {verdict.owner[:SHOWN_DIGITS]}", align="left")
        _print_campaign(verdict)
    results.rule("[bold]joint[/]", align="left")
    for sentence in joint.sentences():
        results.print(f"  {sentence}", soft_wrap=True, markup=False)
    if joint.verified:
        results.print("[bold green]VERIFIED[/]")
    else:
        failed = (f"{name} has {each.missing} missing" for name, each in joint.campaigns if not each.verified)
        results.print(f"[bold red]NOT VERIFIED[/]: {', '.join(failed)}")


def _print_campaign(verdict: Verdict, names: Mapping[int, str] | None = None) -> None:
    logits = ["logits"] if verdict.revealed.kind is Kind.LOGITS else []
    shown = table(
        "Decisions", ">#", ">frame", "tester", *logits, "decision", "label that the tester opened", ""
    )
    for outcome in verdict.outcomes:
        name = names[outcome.index] + ", " if names else ""
        who = f"{name}key {outcome.tester[:SHOWN_DIGITS]}"
        for frame in range(verdict.frames if outcome.decisions or outcome.labels else 1):
            number = "" if outcome.count is not None else str(frame)
            values = [_logits(outcome, frame) for _ in logits]
            shown.add_row(str(outcome.index), number, who, *values, *_row(verdict, outcome, frame))
    results.print(shown)
    for sentence in verdict.sentences():
        results.print(f"  {sentence}", soft_wrap=True, markup=False)


def _row(verdict: Verdict, outcome: Outcome, frame: int) -> tuple[str, str, str]:
    """Decision, label and agreement of one frame of a submission, or what became of all of it."""
    decision = outcome.decisions[frame] if outcome.decisions else None
    said = verdict.said(outcome) if decision is None else verdict.revealed.name(decision)
    if outcome.status is Status.PROVED:
        said = f"{said}, proved"
    if outcome.labels is None:
        return escape(said), "", ""
    label = outcome.labels[frame]
    agreement = "[green]correct[/]" if decision == label else "[red]wrong[/]"
    return escape(said), escape(verdict.revealed.name(label)), agreement


def _logits(outcome: Outcome, frame: int) -> str:
    """As many as fit a terminal; the JSON form has all."""
    if not outcome.logits:
        return ""
    values = outcome.logits[frame]
    shown = " ".join(map(str, values[:_SHOWN_LOGITS]))
    return shown if len(values) <= _SHOWN_LOGITS else f"{shown} ..."
