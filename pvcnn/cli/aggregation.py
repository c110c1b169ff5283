"""`pvcnn aggregate` and `pvcnn verify`: the part of the command line that holds no secret."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from pvcnn.aggregate.schemes import Scheme
from pvcnn.campaign.joint.auditor import verify_joint
from pvcnn.campaign.joint.folder import JointFolder
from pvcnn.campaign.joint.report import JointVerdict
from pvcnn.campaign.verification import auditor
from pvcnn.cli.options import directory_argument, json_option, scheme_option
from pvcnn.cli.output import notes, plain, print_json, size
from pvcnn.cli.verdict import print_joint_verdict, print_verdict


@click.command("aggregate")
@directory_argument
@scheme_option
@json_option
def aggregate_command(directory: Path, scheme: Scheme, as_json: bool) -> None:
    """Make one aggregate of all proofs of the campaign in DIR."""
    from rich.progress import Progress

    from pvcnn.campaign.artefacts.folder import CampaignFolder
    from pvcnn.campaign.roles.aggregator import aggregate_campaign, fold_here

    with Progress(console=notes, transient=True) as shown:
        task = shown.add_task("checking the proofs", total=None)

        def advance(what: str, done: int, total: int) -> None:
            shown.update(task, description=f"{what} the proofs", completed=done, total=total or None)

        fold = partial(fold_here, scheme=scheme, progress=advance)
        done = aggregate_campaign(CampaignFolder(directory), fold)
    for index, reason in done.missing.items():
        notes.print(f"submission {index} has no proof: {plain(reason)}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "proved": list(done.proved),
                "refused": list(done.refused),
                "missing": sorted(done.missing),
                "scheme": done.scheme,
                "bytes": {
                    "aggregate": done.aggregate_bytes,
                    "proofs": done.raw_bytes,
                    "statements": done.statement_bytes,
                    **done.scheme_bytes,
                },
            }
        )
    elif done.scheme is None:
        notes.print("nothing was proved, so there is no aggregate")
    else:
        packed, folded = (size(done.scheme_bytes[name]) for name in ("packed", "snarkpack"))
        chosen = "packed" if done.scheme == "packed" else "folded"
        notes.print(
            f"{len(done.proved)} proofs, {chosen}: {packed} packed, {folded} folded by snarkpack; the "
            f"{size(done.statement_bytes)} of their statements come on top of either",
            soft_wrap=True,
        )


@click.command("verify")
@directory_argument
@json_option
def verify_command(directory: Path, as_json: bool) -> int:
    """Verify the campaign in DIR, of which DIR/public suffices, or the joint folder DIR.

    Exit status 0 if it is valid, 1 if a check fails, 2 if something is malformed or missing.
    """
    with notes.status("verifying; the first time also compiles, where Numba is installed"):
        joint = JointFolder.is_at(directory)
        verdict = verify_joint(directory) if joint else auditor.verify(directory)
    if as_json:
        print_json(verdict.to_json())
    elif isinstance(verdict, JointVerdict):
        print_joint_verdict(verdict)
    else:
        print_verdict(verdict)
    return 0 if verdict.verified else 1
