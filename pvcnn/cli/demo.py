"""`pvcnn demo`: a newcomer watches the system do its main job."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvcnn.cli.options import (
    check_device,
    device_option,
    json_option,
    reveal_option,
    usage_errors,
    use_one_torch_thread,
    weights_option,
    workers_option,
)
from pvcnn.cli.output import duration, notes, print_json, results, size, table
from pvcnn.cli.progress import StepProgress
from pvcnn.cli.verdict import print_verdict

if TYPE_CHECKING:
    from pvcnn.demo import DemoReport

_TITLES = {
    "kernels": "compile or load the kernels",
    "split": "owner: split and quantise the CNN",
    "keygen": "cluster: make keys",
    "setup": "owner: set up proof keys, sign",
    "encrypt": "testers: encrypt frames",
    "infer": "owner: evaluate on ciphertexts",
    "ray": "cluster: start Ray",
    "prove": "cluster: decide and prove",
    "aggregate": "aggregator: fold the proofs",
    "verify": "anyone: verify",
}
_SIZES = {
    "proof": "one proof",
    "proofs": "all proofs",
    "aggregate": "aggregate of them",
    "statement": "one statement",
    "vk": "verification key",
    "pk": "proving key",
    "weights": "published weights",
    "upload": "upload of a submission",
    "download": "answer to the cluster",
    "evaluation_keys": "CKKS evaluation keys, once",
    "cluster_card": "cluster's card with its CKKS key, once",
}


@click.command("demo")
@click.option("--testers", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N")
@click.option(
    "--frames", type=click.IntRange(1, 64), default=1, show_default=True, metavar="K", help="Frames a tester."
)
@click.option(
    "--batch",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="B",
    help="Frames that share a proof; --frames must be a multiple.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="A new folder for the campaign.")
@weights_option
@reveal_option
@device_option
@workers_option
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes frames and fakes, never keys.")
@json_option
def demo_command(
    testers: int,
    frames: int,
    batch: int,
    out: Path | None,
    weights: str,
    reveal: str,
    device: str,
    workers: int | None,
    seed: int,
    as_json: bool,
) -> int:
    """Play a whole campaign on this machine: real faces in, one verified aggregate out."""
    check_device(device)
    from pvcnn.demo import run_demo

    use_one_torch_thread()
    directory = out or next(path for path in _free_names() if not path.exists())
    with StepProgress(_TITLES) as progress, usage_errors():
        report = run_demo(
            directory,
            testers=testers,
            frames=frames,
            seed=seed,
            listener=progress,
            workers=workers,
            batch=batch,
            reveal=reveal,
            weights=weights,
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    return 0 if report.verified else 1


def _free_names() -> list[Path]:
    return [Path("campaign"), *(Path(f"campaign-{n}") for n, _ in zip(count(2), range(10_000), strict=False))]


def _print_report(report: DemoReport) -> None:
    times = table("Times", "step", ">wall time")
    for step, seconds in report.seconds.items():
        times.add_row(_TITLES[step], duration(seconds))
    times.add_row("all", duration(sum(report.seconds.values())), style="bold")
    results.print(times)
    sizes = table("Sizes", "what", ">size")
    for name, what in _SIZES.items():
        if name in report.sizes:
            sizes.add_row(what, size(report.sizes[name]))
    results.print(sizes)
    retries = sum(outcome.attempts - 1 for outcome in report.outcomes)
    if retries:
        notes.print(f"{retries} proofs were tried again because a worker died")
    of_frames = f" of {report.batch} frames" if report.batch > 1 else ""
    results.print(f"{report.constraints} constraints a proof{of_frames}.")
    results.print(
        f"Cluster's fingerprint, which testers got out of band: {report.cluster_fingerprint}", soft_wrap=True
    )
    if report.verdict is not None:
        names = {index: submitted.name for index, submitted in report.truth.items()}
        print_verdict(report.verdict, names)
    results.print(f"Check it yourself: pvcnn verify {report.directory}", soft_wrap=True)
