"""`pvcnn infer`: the owner evaluates in this process, on Ray workers here, or on a cluster of its own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvcnn.cli.options import (
    address_option,
    directory_argument,
    json_option,
    limit_options,
    log_option,
    use_address,
)
from pvcnn.cli.output import done, notes, plain
from pvcnn.cli.progress import StepProgress

if TYPE_CHECKING:
    from pvcnn.campaign.owner import OwnerRole
    from pvcnn.campaign.registry import Registry
    from pvcnn.compute.events import Listener, Outcome


@click.command("infer")
@directory_argument
@click.option("--admit", multiple=True, metavar="KEY", help="Admit only these testers' keys (hexadecimal).")
@address_option
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Evaluating processes; by default one a processor, where that saves time. Where frames lie in "
    "slots, they share every batch.",
)
@limit_options
@log_option
@json_option
def infer_command(
    directory: Path,
    admit: tuple[str, ...],
    address: str | None,
    workers: int | None,
    time_limit: float | None,
    deadline: float | None,
    log: Path | None,
    as_json: bool,
) -> int:
    """OWNER: close the registry, evaluate the private part on every registered ciphertext.

    May be run again: a submission is answered once. The cluster of --address must be the owner's own.
    Exit status 1 if a submission could not be evaluated; one that is refused is no failure.
    """
    use_address(address)
    from pvcnn.campaign.owner import OwnerRole
    from pvcnn.compute.events import FINAL, Event, describe, tell_all
    from pvcnn.compute.logs import EventLog, logged_to

    titles = {"infer": "evaluating on ciphertexts"}
    with logged_to(log), StepProgress(titles) as progress:

        def show_row(done: int, rows: int) -> None:
            progress.note("infer", f"batch: row {done} of {rows}")

        owner = OwnerRole.open(directory, workers, show_row)
        registry = _registry(owner, directory, admit)
        count = len(registry.registrations)
        frames = owner.ledger.proceedings.manifest.frames
        progress.begin("infer", count * frames)

        def show(event: Event) -> None:
            name = f"submission {event.index}: " if event.index >= 0 else ""
            progress.note("infer", f"{name}{describe(event)}")
            if event.kind in FINAL:
                progress.advance("infer", parts=frames)

        listener = tell_all(show, EventLog("infer", owner.ledger.proceedings))
        end = None if deadline is None else time.monotonic() + deadline
        evaluation = _Evaluation(owner, directory.resolve(), address, workers, time_limit, end, listener)
        outcomes = evaluation.of_all(count)
    failed = {outcome.index: outcome.failure for outcome in outcomes if outcome.failure}
    refused = _refused(owner, count)
    report = {
        "registered": count,
        "frames": count * frames,
        "refused": refused,
        "failed": failed,
        "registry": registry.digest().hex(),
    }
    done(as_json, report)
    return 1 if failed else 0


@dataclass(frozen=True)
class _Evaluation:
    """Where evaluating is done. workers: None leaves the choice to us. end: of time.monotonic()."""

    owner: OwnerRole
    directory: Path
    address: str | None
    workers: int | None
    time_limit: float | None
    end: float | None
    listener: Listener

    def of_all(self, count: int) -> list[Outcome]:
        """All submissions: on workers, if they were asked for or save time.

        Frames in slots are evaluated by the batch, whose processes the owner starts itself.
        """
        from pvcnn.campaign.batch import frames_in_slots
        from pvcnn.campaign.folder import CampaignFolder

        indices = range(count)
        if frames_in_slots(CampaignFolder(self.directory).public) is not None:
            if self.address is not None or self.time_limit is not None:
                raise click.UsageError(
                    "frames in slots are evaluated on this machine, by the batch: --address and --time-limit "
                    "are for frames that were encrypted one by one"
                )
            return self._here(indices)
        left = [index for index in indices if self.owner.ledger.answered(index) is None]
        if left and (self.address is not None or self.time_limit is not None):
            return self._on_workers(indices)
        if len(left) < 2 or self.workers == 1:
            return self._here(indices)
        if self.workers is not None:
            return self._on_workers(indices)
        return self._by_trial(left, count)

    def _by_trial(self, left: list[int], count: int) -> list[Outcome]:
        """The second evaluation shows, as the first one may not, how long all of them take."""
        from pvcnn.compute.in_process import ray_pays

        tried = left[1] + 1
        outcomes = self._here(range(tried))
        seconds = outcomes[-1].seconds.get("evaluate", 0.0)
        pays = ray_pays(seconds, len(left) - 2, os.cpu_count() or 1)
        return outcomes + (self._on_workers if pays else self._here)(range(tried, count))

    def _here(self, indices: range) -> list[Outcome]:
        from pvcnn.compute.in_process import infer_here

        return infer_here(self.owner, indices, end=self.end, listener=self.listener)

    def _on_workers(self, indices: range) -> list[Outcome]:
        from pvcnn.compute.dispatcher import Limits
        from pvcnn.compute.evaluation import infer_all
        from pvcnn.compute.session import cluster_session, local_session, processors

        local = min(self.workers or os.cpu_count() or 1, len(indices))
        with local_session(local) if self.address is None else cluster_session(self.address):
            workers = local if self.address is None else self.workers or max(1, processors())
            left = None if self.end is None else max(0.0, self.end - time.monotonic())
            return infer_all(
                self.owner.ledger,
                self.directory,
                indices,
                workers,
                limits=Limits(each=self.time_limit, all=left),
                listener=self.listener,
            )


def _registry(owner: OwnerRole, directory: Path, admit: tuple[str, ...]) -> Registry:
    """The registry; closed now, if it is not yet."""
    from pvcnn.campaign.folder import REGISTRY

    try:
        testers = {bytes.fromhex(key) for key in admit} or None
    except ValueError as error:
        raise click.UsageError("--admit takes keys in hexadecimal") from error
    if (directory / "public" / REGISTRY.name).exists():
        return owner.ledger.proceedings.registry
    registry, turned_away = owner.close_registry(testers)
    for each in turned_away:
        notes.print(f"not registered: {plain(each.file)}: {plain(each.reason)}", soft_wrap=True)
    return registry


def _refused(owner: OwnerRole, count: int) -> dict[int, str]:
    answers = {index: owner.ledger.answered(index) for index in range(count)}
    return {index: answer.reason for index, answer in answers.items() if answer and answer.refused}
