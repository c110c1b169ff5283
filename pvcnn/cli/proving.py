"""`pvcnn prove`: the cluster's part, on Ray workers of this machine or of a cluster that exists already."""

from __future__ import annotations

from pathlib import Path

import click

from pvcnn.cli.options import (
    address_option,
    check_device,
    device_option,
    directory_argument,
    json_option,
    limit_options,
    log_option,
    use_address,
    workers_option,
)
from pvcnn.cli.output import done, notes
from pvcnn.cli.progress import StepProgress


@click.command("prove")
@directory_argument
@device_option
@address_option
@workers_option
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Of each worker; by default this machine's processors are shared out, and 1 on a cluster.",
)
@click.option(
    "--gpus-per-worker", type=click.FloatRange(0), default=0.0, show_default=True, help="A fraction will do."
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where workers find the cluster's keys, if not in DIR/private/cluster.",
)
@limit_options
@log_option
@json_option
def prove_command(
    directory: Path,
    device: str,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus_per_worker: float,
    secrets: Path | None,
    time_limit: float | None,
    deadline: float | None,
    log: Path | None,
    as_json: bool,
) -> int:
    """CLUSTER: decrypt, decide and prove on Ray workers. May be run again: what is done stays.

    Exit status 1 if a submission could not be proved; the aggregate over the others can be made.
    """
    check_device(device)
    use_address(address)
    from pvcnn.algebra.warmup import compile_kernels
    from pvcnn.campaign.artefacts.folder import CampaignFolder
    from pvcnn.campaign.roles.cluster_ledger import ROLE, ClusterLedger
    from pvcnn.compute.dispatcher import Limits
    from pvcnn.compute.events import FINAL, Event, describe, tell_all
    from pvcnn.compute.logs import EventLog, logged_to
    from pvcnn.compute.proving import Placement, prove_all
    from pvcnn.compute.proving_worker import SecretsInDirectory
    from pvcnn.compute.session import cluster_session, local_session, processors

    ledger = ClusterLedger.open(directory)
    indices = list(ledger.to_prove())
    if not indices:
        raise click.UsageError("the owner refused every submission: there is nothing to prove")
    source = SecretsInDirectory(str((secrets or CampaignFolder(directory).private(ROLE)).resolve()))
    if address is None:
        placement = Placement.on_this_machine(len(indices), workers, threads, gpus_per_worker)
        with notes.status("compiling kernels if need be"):
            compile_kernels()
        session = local_session(placement.processors, gpus_per_worker > 0)
    else:
        session = cluster_session(address)
    with logged_to(log), StepProgress({"prove": "deciding and proving"}) as progress, session:
        if address is not None:
            placement = Placement.on_cluster(processors(), workers, threads, gpus_per_worker)
        frames = ledger.proceedings.manifest.frames
        progress.begin("prove", len(indices) * frames)

        def show(event: Event) -> None:
            name = f"submission {event.index}: " if event.index >= 0 else ""
            progress.note("prove", f"{name}{describe(event)}")
            if event.kind in FINAL:
                progress.advance("prove", parts=frames)

        outcomes = prove_all(
            ledger,
            directory.resolve(),
            source,
            indices,
            placement,
            limits=Limits(each=time_limit, all=deadline),
            listener=tell_all(show, EventLog("prove", ledger.proceedings)),
        )
    failed = {outcome.index: outcome.failure for outcome in outcomes if outcome.failure}
    done(as_json, {"proved": len(outcomes) - len(failed), "failed": failed})
    return 1 if failed else 0
