"""`pvcnn status`: how far a campaign is, and who comes next."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pvcnn.campaign.next_steps import next_commands, steps, unseen
from pvcnn.campaign.status import CampaignStatus, State, read_status
from pvcnn.campaign.verification.report import SHOWN_DIGITS
from pvcnn.cli.cut_claims import print_claims
from pvcnn.cli.options import directory_argument, json_option, use_address
from pvcnn.cli.output import notes, plain, print_json, results, table

if TYPE_CHECKING:
    from pvcnn.compute.job_list import Job

#: Submissions that are listed one by one; the JSON form has all.
_LISTED = 20
_NOTEWORTHY = (State.FAULTY, State.REFUSED_BY_OWNER, State.REFUSED_BY_CLUSTER)


@click.command("status")
@directory_argument
@click.option("--address", metavar="URL", help="Also ask a Ray cluster's job server: http://HOST:8265.")
@json_option
def status_command(directory: Path, address: str | None, as_json: bool) -> int:
    """Say how far the campaign in DIR is, and who comes next; DIR/public will do.

    Exit status 1 if something there is faulty or does not verify.
    """
    with notes.status("reading the campaign"):
        status = read_status(directory)
    jobs = None if address is None else _jobs(address, status)
    if as_json:
        print_json(_report(status, jobs))
    else:
        _print(directory, status)
        if jobs is not None:
            _print_jobs(jobs)
    return 0 if status.sound else 1


def _jobs(address: str, status: CampaignStatus) -> list[Job]:
    use_address(address)
    from pvcnn.compute.job_list import jobs_of

    return jobs_of(address, status.registry) if status.registry else []


def _report(status: CampaignStatus, jobs: list[Job] | None) -> dict[str, Any]:
    counts = Counter(str(each.state) for each in status.submissions)
    report: dict[str, Any] = {
        "campaign": status.campaign,
        "registry": status.registry,
        "steps": [vars(step) for step in steps(status)],
        "registered": len(status.submissions),
        "frames": None if status.frames is None else status.frames * len(status.submissions),
        "frames_per_submission": status.frames,
        "cut": status.claims.to_json() if status.claims else None,
        "counts": {str(state): counts[str(state)] for state in State},
        "to_aggregate": status.to_aggregate,
        "aggregate": status.aggregate_here,
        "verified": status.verdict.verified if status.verdict else (False if status.fault else None),
        "fault": status.fault,
        "submissions": [each.to_json() for each in status.submissions],
        "next": [{"role": role, "command": command} for role, command in next_commands(status)],
        "unseen": unseen(status),
        "private": list(status.private_roles),
        "refusals_log": str(status.refusals_log) if status.refusals_log else None,
    }
    return report if jobs is None else report | {"jobs": [vars(job) for job in jobs]}


def _print(directory: Path, status: CampaignStatus) -> None:
    name = status.campaign[:SHOWN_DIGITS] or "not named yet"
    shown = table(f"Campaign {name} in {plain(directory)}", "step", "role", "", "how far")
    for step in steps(status):
        shown.add_row(step.name, step.role, "[green]✓[/]" if step.done else "", plain(step.detail))
    results.print(shown)
    for state in State:
        if status.count(state):
            results.print(f"  {status.count(state)} {state}")
    noteworthy = [each for each in status.submissions if each.state in _NOTEWORTHY]
    for each in noteworthy[:_LISTED]:
        who = f"submission {each.index}, tester {each.tester[:SHOWN_DIGITS]}"
        results.print(f"  {who}: {each.state}: {plain(each.reason)}", soft_wrap=True)
    if len(noteworthy) > _LISTED:
        results.print(f"  and {len(noteworthy) - _LISTED} more: --json lists all")
    if status.count(State.REFUSED_BY_CLUSTER) and status.refusals_log:
        results.print(f"Why the cluster refused: {plain(status.refusals_log)}", soft_wrap=True)
    if status.claims:
        print_claims(status.claims, results)
    for sentence in unseen(status):
        results.print(sentence, soft_wrap=True)
    for role, command in next_commands(status):
        results.print(f"next, {role}: {command}")


def _print_jobs(jobs: list[Job]) -> None:
    if not jobs:
        results.print("no job of this campaign is known there")
        return
    shown = table("Jobs", "name", "state", "started", "ended", "")
    for job in jobs:
        shown.add_row(*map(plain, (job.name, job.state, job.started, job.ended, job.message)))
    results.print(shown)
