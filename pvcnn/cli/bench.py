"""`pvcnn bench` and `pvcnn warmup`."""

from __future__ import annotations

import datetime
import time
from typing import Any

import click

from pvcnn.cli.options import json_option, use_one_torch_thread
from pvcnn.cli.output import duration, notes, print_json, results, size, table

_repeat_option = click.option("--repeat", type=click.IntRange(1, 100), default=5, show_default=True)
_threads_option = click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True)


@click.command("warmup")
@json_option
def warmup_command(as_json: bool) -> None:
    """Compile all kernels, or load them from the cache."""
    from pvcnn.algebra.warmup import compile_kernels

    start = time.perf_counter()
    with notes.status("compiling kernels; this happens once for a version and machine"):
        compile_kernels()
    seconds = time.perf_counter() - start
    if as_json:
        print_json({"seconds": {"kernels": seconds}})
    else:
        results.print(f"kernels are ready after {duration(seconds)}")


@click.group("bench")
def bench_command() -> None:
    """Benchmarks: ours beside a reference, with ratios from one run."""


@bench_command.command("msm")
@click.option("--log-n", type=click.IntRange(4, 22), default=16, show_default=True)
@_repeat_option
@_threads_option
@json_option
def msm_command(log_n: int, repeat: int, threads: int, as_json: bool) -> None:
    """Multi-scalar multiplications and fixed bases in G1 and G2, beside py_arkworks."""
    from pvcnn.bench import points

    _compare(points.cases, "multi-scalar multiplication", log_n, repeat, threads, as_json)


@bench_command.command("ntt")
@click.option("--log-n", type=click.IntRange(4, 24), default=18, show_default=True)
@_repeat_option
@_threads_option
@json_option
def ntt_command(log_n: int, repeat: int, threads: int, as_json: bool) -> None:
    """Number-theoretic transforms and vectors over the scalar field."""
    from pvcnn.bench import field

    _compare(field.cases, "scalar field", log_n, repeat, threads, as_json)


@bench_command.command("prove")
@_repeat_option
@json_option
def prove_command(repeat: int, as_json: bool) -> None:
    """Setup and proof of one frame of the one-block detector, by step."""
    from pvcnn.bench import proving

    use_one_torch_thread()
    with notes.status(f"setting up and proving {repeat + 1} times"):
        report = {**_origin(), **proving.measure(repeat)}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}, {report['kernels']} kernels")
    shown = table(f"One frame, {report['constraints']} constraints, median of {repeat}", "step", ">wall time")
    for step, seconds in report["steps"].items():
        shown.add_row(step, duration(seconds))
    shown.add_row("proof", duration(report["ours"]["wall"]), style="bold")
    shown.add_row("proof, processor time", duration(report["ours"]["cpu"]))
    for step, seconds in report["seconds"].items():
        shown.add_row(step, duration(seconds))
    results.print(shown)
    counts = table("Constraints by gadget", "gadget", ">rows")
    for gadget, count in report["counts"].items():
        counts.add_row(gadget, str(count))
    results.print(counts)
    for name, count in report["bytes"].items():
        results.print(f"{name}: {size(count)}")


_limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=5_000_000,
    show_default=True,
    help="Count lowerings with more constraints than this, without proving them.",
)
_rounds_option = click.option("--repeat", type=click.IntRange(1, 100), default=3, show_default=True)


@bench_command.command("matmul")
@click.option("--n", type=click.IntRange(2, 1024), default=64, show_default=True, help="Rows and columns.")
@_rounds_option
@_limit_option
@json_option
def matmul_command(n: int, repeat: int, limit: int, as_json: bool) -> None:
    """A product of two committed matrices under each lowering: setup, proof, verification, keys."""
    from pvcnn.bench.products import MatrixShape

    _compare_lowerings(
        MatrixShape.square(n), {"n": n}, f"({n}, {n}) times ({n}, {n})", repeat, limit, as_json
    )


@bench_command.command("convolution")
@click.option("--channels", type=click.IntRange(1, 2048), default=16, show_default=True)
@click.option("--outputs", type=click.IntRange(1, 2048), default=32, show_default=True)
@click.option("--side", type=click.IntRange(1, 256), default=32, show_default=True, help="Of the input.")
@click.option("--kernel", type=click.IntRange(1, 15), default=3, show_default=True)
@click.option("--stride", type=click.IntRange(1, 15), default=1, show_default=True)
@click.option("--padding", type=click.IntRange(0, 14), default=1, show_default=True)
@click.option("--dilation", type=click.IntRange(1, 15), default=1, show_default=True)
@click.option("--groups", type=click.IntRange(1, 2048), default=1, show_default=True, help="Of channels.")
@_rounds_option
@_limit_option
@json_option
def convolution_command(repeat: int, limit: int, as_json: bool, **numbers: int) -> None:
    """A convolution with committed input and kernels under each lowering."""
    from pvcnn.bench.products import ConvolutionShape
    from pvcnn.program.windows import Windows

    names = ("kernel", "stride", "padding", "dilation")
    windows = Windows.square(*(numbers[name] for name in names))
    channels, outputs, side, groups = (numbers[name] for name in ("channels", "outputs", "side", "groups"))
    try:
        shape = ConvolutionShape(channels, outputs, side, windows, groups)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    details = ", ".join(f"{name} {numbers[name]}" for name in (*names, "groups"))
    title = f"{channels} to {outputs} channels on {side}x{side}, {details}"
    _compare_lowerings(shape, numbers, title, repeat, limit, as_json)


def _compare_lowerings(
    shape: Any, numbers: dict[str, int], title: str, repeat: int, limit: int, as_json: bool
) -> None:
    from rich.progress import Progress

    from pvcnn.algebra.warmup import compile_kernels
    from pvcnn.bench import lowerings

    with notes.status("compiling kernels"):
        compile_kernels()
    with Progress(console=notes, transient=True) as progress:
        rounds = len(lowerings.lowerings_of(shape)) * 3 * (repeat + 1)
        task = progress.add_task("setting up and proving", total=rounds)
        report = lowerings.measure(shape, repeat, limit, lambda: progress.advance(task))
    report = {**_origin(), **numbers, **report}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}, {report['kernels']} kernels")
    columns = ("", ">constraints", ">setup", ">prove", ">verify", ">setup, processor", ">prove", ">key")
    shown = table(f"{title}, median of {repeat}", *columns)
    for name, found in report["lowerings"].items():
        cells = [name, f"{found['constraints']:,}"]
        if "seconds" in found:
            cells += [duration(found["seconds"][step]) for step in ("setup", "prove", "verify")]
            cells += [duration(found["cpu"][step]) for step in ("setup", "prove")]
            cells += [size(found["bytes"]["pk"])]
        shown.add_row(*cells)
    results.print(shown)
    for name, found in report["lowerings"].items():
        if "rate" in found:
            rates = ", ".join(f"{step} {rate:,.0f}" for step, rate in found["rate"].items())
            results.print(f"{name}, constraints a second of processor time: {rates}")
    ratios = ", ".join(
        f"{name.replace('_', ' ')} {ratio:.2f}"
        for name, ratio in report["ratio"].items()
        if not name.startswith("constraints_")
    )
    results.print(f"qap over qmp, processor time: {ratios}")


@bench_command.command("model")
@click.argument("name")
@click.option(
    "--weights", type=click.Choice(["committed", "published"]), default="published", show_default=True
)
@click.option("--frames", type=click.IntRange(1, 4096), default=1, show_default=True, help="In one proof.")
@_rounds_option
@json_option
def model_command(name: str, weights: str, frames: int, repeat: int, as_json: bool) -> None:
    """One network of the catalogue, all of it public: quantise, set up, prove, verify."""
    from pvcnn.bench import networks
    from pvcnn.models.catalogue import CATALOGUE

    if name not in CATALOGUE:
        raise click.UsageError(f"no model {name!r}: choose one of {', '.join(CATALOGUE)}")
    use_one_torch_thread()
    with notes.status(f"quantising {name}, setting up, proving {repeat + 1} times"):
        report = {**_origin(), **networks.measure(name, weights, frames, repeat)}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}, {report['kernels']} kernels")
    title = f"{name}, {weights} weights, {frames} frames, {report['constraints']:,} constraints"
    shown = table(f"{title}, median of {repeat}", "step", ">wall time")
    for step, seconds in report["seconds"].items():
        shown.add_row(step, duration(seconds), style="bold" if step == "prove" else None)
    results.print(shown)
    for name, count in {**report["bytes"], "peak memory": report["peak_memory"]}.items():
        results.print(f"{name}: {size(count)}")
    results.print(f"decides as the float model on {report['agreement']:.1%} of the calibration frames")


@bench_command.command("aggregate")
@click.option("--proofs", type=click.IntRange(1, 4096), default=64, show_default=True)
@_repeat_option
@json_option
def aggregate_command(proofs: int, repeat: int, as_json: bool) -> None:
    """Aggregates of simulated proofs, folded and packed, beside the proofs one by one."""
    from rich.progress import Progress

    from pvcnn.bench import aggregates

    with Progress(console=notes, transient=True) as shown:
        task = shown.add_task("simulating proofs", total=None)

        def advance(what: str, done: int, total: int) -> None:
            shown.update(task, description=f"{what} the proofs", completed=done, total=total or None)

        report = {**_origin(), **aggregates.measure(proofs, repeat, advance)}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}, {report['kernels']} kernels")
    shown_table = table(f"{proofs} proofs", "scheme", ">bytes", ">with statements", ">aggregate", ">verify")
    for scheme in ("snarkpack", "packed"):
        count, seconds = report["bytes"][scheme], report["seconds"][scheme]
        shown_table.add_row(
            f"{scheme}{' (auto)' if scheme == report['auto'] else ''}",
            size(count),
            size(count + report["bytes"]["statements"]),
            duration(seconds["aggregate"]),
            duration(seconds["verify"]),
        )
    results.print(shown_table)
    one_by_one, ratio = report["reference"]["verify"], report["ratio"]["verify"]
    results.print(f"one by one: {duration(one_by_one)}, {ratio:.1f} times as long")


@bench_command.command("private")
@click.argument("name", metavar="NAME")
@click.option("--frames", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--ours", is_flag=True, help="Without the comparison with a ciphertext for each channel.")
@json_option
def private_command(name: str, frames: int, ours: bool, as_json: bool) -> None:
    """Private blocks on ciphertexts: NAME is one, two, three, or detector for the shipped private part."""
    from pvcnn.bench import private

    if name not in private.NAMES:
        raise click.UsageError(f"no private part {name!r}: choose one of {', '.join(private.NAMES)}")
    use_one_torch_thread()
    with notes.status(f"planning, making keys, evaluating {frames} frames"):
        report = {**_origin(), **private.compare(name, frames, not ours)}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}")
    for side in ("ours", "reference")[: 2 - ours]:
        found = report[side]
        results.print(f"{side}:\n{found['table']}", markup=False, highlight=False, soft_wrap=True)
        shown = table("one thread", "step", ">processor time")
        for step, seconds in found["processor_seconds"].items():
            shown.add_row(step, duration(seconds), style="bold" if step == "evaluate" else None)
        results.print(shown)
        error = found["error_in_steps"]
        results.print(f"error {error['evaluation']:.1e} of a feature's step, {error['flooded']:.3f} flooded")
    if not ours:
        results.print(f"a ciphertext for each channel takes {report['ratio']['evaluate']:.1f} times as long")


def _compare(cases: Any, title: str, log_n: int, repeat: int, threads: int, as_json: bool) -> None:
    from rich.progress import Progress

    from pvcnn.bench import measure

    with measure.threads(threads), Progress(console=notes, transient=True) as progress:
        task = progress.add_task("making inputs", total=None)
        chosen = cases(log_n)
        progress.update(task, description=title, total=len(chosen) * repeat)
        report = measure.compare(chosen, repeat, lambda: progress.advance(task))
    report = {**_origin(), "log_n": log_n, "threads": threads, "repeat": repeat, **report}
    if as_json:
        print_json(report)
        return
    results.print(f"{report['date']}, {report['machine']}, {report['kernels']} kernels, {threads} threads")
    columns = ("what", ">processor time", ">least to most", ">wall time", ">py_arkworks", ">ratio")
    shown = table(f"2^{log_n}, medians of {repeat}", *columns)
    for name, ours in report["ours"].items():
        reference = report["reference"].get(name)
        shown.add_row(
            name.replace("_", " "),
            _milliseconds(ours["cpu"]),
            f"{ours['cpu_least'] * 1e3:.1f} to {ours['cpu_most'] * 1e3:.1f}",
            _milliseconds(ours["wall"]),
            _milliseconds(reference["cpu"]) if reference else "",
            f"{report['ratio'][name]:.1f}" if reference else "",
        )
    results.print(shown)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def _origin() -> dict[str, str]:
    from pvcnn.algebra.kernels.selection import KERNELS
    from pvcnn.bench.measure import machine

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "kernels": KERNELS.value,
    }
