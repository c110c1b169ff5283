"""`pvcnn aggregate` and `pvcnn verify`: the part of the command line that holds no secret."""

from __future__ import annotations

from pathlib import Path

import click

from pvcnn.campaign import auditor
from pvcnn.cli.options import directory_argument, json_option
from pvcnn.cli.output import notes, plain, print_json, size
from pvcnn.cli.verdict import print_verdict


@click.command("aggregate")
@directory_argument
@click.option(
    "--scheme",
    type=click.Choice(["snarkpack", "packed", "auto"]),
    default="snarkpack",
    show_default=True,
    help="How proofs are folded.",
)
@json_option
def aggregate_command(directory: Path, scheme: str, as_json: bool) -> None:
    """Fold all proofs of the campaign in DIR into one."""
    if scheme != "snarkpack":
        raise click.UsageError(f"scheme {scheme!r} is not built yet; use --scheme snarkpack")
    from pvcnn.campaign.aggregator import aggregate_campaign
    from pvcnn.campaign.folder import CampaignFolder

    with notes.status("checking and folding the proofs"):
        done = aggregate_campaign(CampaignFolder(directory))
    for index, reason in done.missing.items():
        notes.print(f"submission {index} has no proof: {plain(reason)}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "proved": list(done.proved),
                "refused": list(done.refused),
                "missing": sorted(done.missing),
                "bytes": {"aggregate": done.aggregate_bytes, "proofs": done.raw_bytes},
            }
        )
    else:
        notes.print(
            f"{len(done.proved)} proofs, {size(done.raw_bytes)}, folded into {size(done.aggregate_bytes)}"
        )


@click.command("verify")
@directory_argument
@json_option
def verify_command(directory: Path, as_json: bool) -> int:
    """Verify the campaign in DIR: DIR/public suffices.

    Exit status 0 if it is valid, 1 if a check fails, 2 if something is malformed or missing.
    """
    with notes.status("verifying; the first time also compiles, where Numba is installed"):
        verdict = auditor.verify(directory)
    if as_json:
        print_json(verdict.to_json())
    else:
        print_verdict(verdict)
    return 0 if verdict.verified else 1
