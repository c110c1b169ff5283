"""`pvcnn join`: several campaigns shown together, with one aggregate."""

from __future__ import annotations

from pathlib import Path

import click

from pvcnn.aggregate.schemes import Scheme
from pvcnn.cli.options import json_option, scheme_option
from pvcnn.cli.output import notes, print_json, size


@click.command("join")
@click.argument("target", metavar="JOINT", type=click.Path(path_type=Path))
@click.argument("campaigns", metavar="[NAME=]DIR [NAME=]DIR...", nargs=-1, required=True)
@scheme_option
@json_option
def join_command(target: Path, campaigns: tuple[str, ...], scheme: Scheme, as_json: bool) -> None:
    """Join campaigns into the new folder JOINT, with one aggregate of all their proofs.

    Each DIR is a campaign in which everything is proved or refused; its name is the folder's unless NAME says
    another one. `pvcnn verify JOINT` verifies them together. Folded proofs rely on the aggregation key of the
    first DIR whose key serves as many.
    """
    from rich.progress import Progress

    from pvcnn.campaign.joint.joiner import Source, join

    with Progress(console=notes, transient=True) as shown:
        task = shown.add_task("reading the campaigns", total=None)

        def advance(what: str, done: int, total: int) -> None:
            of = "campaigns" if what == "reading" else "proofs"
            shown.update(task, description=f"{what} the {of}", completed=done, total=total or None)

        done = join([Source.parse(each) for each in campaigns], target, scheme, advance)
    verdict = done.verdict
    if as_json:
        print_json(
            {
                "joint": verdict.digest,
                "campaigns": {name: each.proved for name, each in verdict.campaigns},
                "proved": verdict.proved,
                "verification_keys": verdict.keys,
                "scheme": verdict.scheme,
                "reference_string_of": list(verdict.relied_on),
                "bytes": {"aggregate": done.aggregate_bytes, **done.scheme_bytes},
            }
        )
        return
    packed, folded = (size(done.scheme_bytes[name]) for name in ("packed", "snarkpack"))
    chosen = "packed" if verdict.scheme == "packed" else f"folded as {', '.join(verdict.relied_on)}"
    notes.print(
        f"{len(verdict.campaigns)} campaigns, {verdict.proved} proofs under {verdict.keys} verification keys"
        f", {chosen}: {packed} packed, {folded} folded by snarkpack; joint digest {verdict.digest}",
        soft_wrap=True,
    )
