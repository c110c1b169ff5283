"""`pvcnn submit`, and the two commands that a Ray cluster runs as its jobs."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pvcnn.cli.options import Command, directory_argument, json_option, limit_options, use_address
from pvcnn.cli.output import done, notes, plain
from pvcnn.cli.progress import StepProgress
from pvcnn.errors import PvcnnError

_DETACHED = 130
_STDOUT = 1


def _placement_options(command: Command) -> Command:
    """What workers ask for, and where they find the cluster's keys."""
    options = (
        click.option("--workers", type=click.IntRange(1), help="Proving processes; by default all that fit."),
        click.option("--threads", type=click.IntRange(1, 256), help="Of each worker; by default 1."),
        click.option(
            "--gpus-per-worker",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="A fraction will do.",
        ),
        click.option(
            "--secrets",
            metavar="PATH",
            default="",
            help="A directory of workers' machines with the cluster's keys, which are not delivered then.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("submit")
@directory_argument
@click.option(
    "--address", metavar="URL", required=True, help="Of the cluster's job server: http://HOST:8265."
)
@_placement_options
@limit_options
@click.option("--python", metavar="PATH", help="Python of the cluster's machines; by default `python`.")
@json_option
def submit_command(
    directory: Path,
    address: str,
    workers: int | None,
    threads: int | None,
    gpus_per_worker: float,
    secrets: str,
    time_limit: float | None,
    deadline: float | None,
    python: str | None,
    as_json: bool,
) -> int:
    """CLUSTER: prove as a job of a Ray cluster that shares no storage with this machine, and aggregate.

    May be run again: it follows the job that runs, or proves what is missing. Exit status 1 if a
    submission could not be proved.
    """
    use_address(address)
    from pvcnn.compute.events import FINAL, Event, describe
    from pvcnn.compute.job import JobSettings
    from pvcnn.compute.submission import Submission

    settings = JobSettings(workers, threads, gpus_per_worker, time_limit, deadline, secrets)
    with StepProgress({"prove": "deciding and proving"}) as progress:

        def show(event: Event) -> None:
            name = f"submission {event.index}: " if event.index >= 0 else ""
            progress.note("prove", plain(f"{name}{describe(event)}"))
            if event.kind in FINAL:
                progress.advance("prove", parts=submission.frames)

        def say(text: str) -> None:
            notes.print(plain(text), soft_wrap=True)

        submission = Submission.to(address, directory, settings, python, listener=show, say=say)
        if not submission.to_prove:
            raise click.UsageError("the owner refused every submission: there is nothing to prove")
        progress.begin("prove", len(submission.left()) * submission.frames)
        try:
            result = submission.run()
        except KeyboardInterrupt:
            notes.print(
                "detached: a job that has its keys goes on by itself; the same command follows it again",
                soft_wrap=True,
            )
            return _DETACHED
    done(
        as_json,
        {
            "job": result.job,
            "attempts": result.attempts,
            "proved": result.proved,
            "failed": result.failed,
            "aggregate": {"bytes": result.aggregate_bytes, "folded_by": result.folded_by},
            "verified": result.verified,
            "proving": {
                "workers": result.workers,
                "wall_seconds": result.wall,
                "worker_seconds": result.span,
                "work_seconds": result.work,
            },
        },
    )
    return 1 if result.failed else 0


@click.command("run-job", hidden=True)
@_placement_options
@limit_options
@click.option("--more", is_flag=True, help="Another job will prove the rest: do not fold yet.")
def run_job_command(
    workers: int | None,
    threads: int | None,
    gpus_per_worker: float,
    secrets: str,
    time_limit: float | None,
    deadline: float | None,
    more: bool,
) -> int:
    """The entrypoint of the job that `submit` submits; its working directory is the bundle."""
    from pvcnn.compute.job import JobLog, JobSettings, run_job
    from pvcnn.compute.job_events import Ended
    from pvcnn.compute.session import cluster_session

    log = JobLog(Path(), _write_whole)
    settings = JobSettings(workers, threads, gpus_per_worker, time_limit, deadline, secrets, more)
    try:
        with cluster_session("auto"):
            run_job(Path(), settings, log)
    except PvcnnError as error:
        log.tell(Ended(str(error)))
        return 1
    return 0


@click.command("deliver-keys", hidden=True)
@click.argument("manifest")
@click.argument("registry")
def deliver_keys_command(manifest: str, registry: str) -> None:
    """The entrypoint of the job that delivers sealed keys; they are in its working directory."""
    from pvcnn.campaign.roles.cluster_secrets import MAX_BYTES
    from pvcnn.compute.key_delivery import BLOB_NAME, Place, deliver
    from pvcnn.compute.session import cluster_session
    from pvcnn.files import read_bounded

    try:
        place = Place(bytes.fromhex(manifest), bytes.fromhex(registry))
    except ValueError as error:
        raise click.UsageError("digests are hexadecimal") from error
    blob = read_bounded(Path(BLOB_NAME), MAX_BYTES)
    with cluster_session("auto"):
        deliver(place, blob)


def _write_whole(text: str) -> None:
    """To the job's log, past Python's buffers: lines of several writers stay whole."""
    data = memoryview(text.encode())
    while data:
        data = data[os.write(_STDOUT, data) :]
