"""`pvcnn leak`: what the features that the cluster sees give away."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pvcnn.cli.inputs import load_model
from pvcnn.cli.options import check_folder, json_option, usage_errors, use_one_torch_thread
from pvcnn.cli.output import notes, plain, print_json, results, table
from pvcnn.cli.progress import CutProgress

if TYPE_CHECKING:
    from pvcnn.leak.data import LeakData
    from pvcnn.leak.private import Private
    from pvcnn.leak.report import LeakReport

#: As pvcnn.leak.budget has it, which needs torch.
DEFAULT_BUDGET = 150.0


@click.command("leak")
@click.argument("model", metavar="NAME|MODULE:FUNCTION|FILE.onnx")
@click.option(
    "--cut",
    "cuts",
    multiple=True,
    default=("1",),
    show_default=True,
    metavar="BLOCKS|LAYER|whole",
    help="As of pvcnn split; several times for several cuts. whole: MODEL is a private part, without a rest.",
)
@click.option(
    "--data",
    type=click.Choice(["auto", "faces", "digits", "random"]),
    default="auto",
    show_default=True,
    help="What is attacked; auto: faces for 64x64 gray frames, digits for lenet5, else random frames.",
)
@click.option(
    "--shape",
    metavar="CHANNELS,HEIGHT,WIDTH",
    help="Of random frames, for a MODEL that is not in the catalogue.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_BUDGET,
    show_default=True,
    metavar="SECONDS",
    help="The attackers', for each cut: of one thread, as a fixed number of steps.",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write leak.json, leak.png and for each cut, in order, its summary: leak-0.cbor, leak-1.cbor, ...",
)
@json_option
def leak_command(
    model: str,
    cuts: tuple[str, ...],
    data: str,
    shape: str | None,
    budget: float,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Attack the features that the cluster sees: reconstruct, recognise, solve for weights.

    MODEL is a network of the catalogue (such as deepfake), a function without arguments that returns a
    torch module, or an ONNX model. Attackers train on other people (or pictures) than those attacked.
    """
    use_one_torch_thread()
    from pvcnn.leak.measure import STAGES, measure
    from pvcnn.leak.picture import check_drawable

    if out is not None:
        check_drawable()
        check_folder(out, "--out")
    reports = []
    with usage_errors():
        with notes.status("reading the model and frames"):
            loaded, attacked = model_and_data(model, data, shape, seed)
            parts = [_private(loaded, attacked, cut) for cut in cuts]
        with CutProgress("attacking") as progress:
            for number, (cut, private) in enumerate(zip(cuts, parts, strict=True)):

                def show(stage: str, number: int = number, cut: str = cut) -> None:
                    share = STAGES.index(stage) / len(STAGES)
                    progress.show(number, len(cuts), cut, stage, share)

                reports.append(measure(private, attacked, budget, seed, cut=cut, progress=show))
    if out is not None:
        _write(out, reports)
    if as_json:
        print_json({"model": model, "cuts": [report.to_dict() for report in reports]})
    else:
        _show(model, reports)


def _private(loaded: Any, attacked: LeakData, cut: str) -> Private:
    from pvcnn.leak.private import behind_cut, whole

    inputs = attacked.attacked.inputs
    if cut == "whole":
        return whole(loaded, inputs)
    return behind_cut(loaded, inputs, int(cut) if cut.isdecimal() else cut)


def network(model: str, seed: int) -> Any:
    """A torch module, or the path of an ONNX file."""
    from pvcnn.models.catalogue import CATALOGUE, create

    if model in CATALOGUE:
        return create(model, seed)
    if ":" not in model and not model.endswith(".onnx"):
        known = ", ".join(CATALOGUE)
        raise click.UsageError(f"{model!r}: neither MODULE:FUNCTION nor FILE.onnx nor one of {known}")
    return load_model(model)


def model_and_data(model: str, data: str, shape: str | None, seed: int) -> tuple[Any, LeakData]:
    """The model, as of `network`, and frames to attack it with."""
    from pvcnn.leak.data import data_for, digit_data, face_data, random_data
    from pvcnn.models.catalogue import CATALOGUE

    known = CATALOGUE.get(model)
    frame_shape = known.input_shape if known is not None else (1, 64, 64)
    if shape is not None:
        frame_shape = parsed_shape(shape)
        if known is not None and frame_shape != known.input_shape:
            raise click.UsageError(f"--shape {shape!r}: {model} takes {known.input_shape}; leave out --shape")
    loaded = network(model, seed)
    match data:
        case "faces":
            attacked = face_data(seed)
        case "digits":
            attacked = digit_data(seed)
        case "random":
            attacked = random_data(frame_shape, seed)
        case _:
            attacked = data_for(model, frame_shape, seed)
    found = tuple(attacked.attacked.inputs.shape[1:])
    if known is not None and found != known.input_shape:
        raise click.UsageError(
            f"frames to attack ({attacked.name}) have the shape {found}, {model} takes {known.input_shape}: "
            "choose others by --data, or leave it out"
        )
    return loaded, attacked


def parsed_shape(text: str) -> tuple[int, int, int]:
    try:
        channels, height, width = map(int, text.split(","))
    except ValueError as error:
        raise click.UsageError(f"--shape {text!r}: expected three numbers, such as 3,32,32") from error
    if min(channels, height, width) < 1:
        raise click.UsageError(f"--shape {text!r}: must be positive")
    return channels, height, width


def _write(folder: Path, reports: list[LeakReport]) -> None:
    from pvcnn.files import write_atomically
    from pvcnn.leak.picture import draw

    picture = draw(reports)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([report.to_dict() for report in reports], indent=1, sort_keys=True) + "\n"
    write_atomically(folder / "leak.json", text.encode())
    write_atomically(folder / "leak.png", picture)
    for number, report in enumerate(reports):
        write_atomically(folder / f"leak-{number}.cbor", report.summary().to_bytes())


def _show(model: str, reports: list[LeakReport]) -> None:
    """Two shares in a cell: those of the decoder and of the strongest attack."""
    kind = reports[0].identity or "person"
    names = ("cut", ">features", ">dB", ">SSIM", ">frame", f">{kind}", ">chance", ">copy's error")
    shown = table(f"What the features of {plain(model)} give away", *names)
    for column in shown.columns:
        column.overflow = "fold"
    for report in reports:
        summary = report.summary()
        people = summary.people
        named = ["", ""]
        if people is not None:
            named = [two_shares(people.by_decoder, people.by_best), _percent(people.chance)]
        shown.add_row(
            plain(report.cut),
            str(math.prod(report.feature_shape)),
            f"{summary.psnr / 1000:.1f}",
            f"{summary.similarity / 1000:.2f}",
            two_shares(summary.frames_by_decoder, summary.frames_by_best),
            *named,
            _percent(summary.copied_error),
        )
    results.print(shown)
    for report in reports:
        results.print(f"cut {plain(report.cut)}", style="bold")
        for line in report.summary().lines():
            results.print(f"  {plain(line)}", soft_wrap=True)
        if report.blind.reason:
            reason = f"blind identification not applicable: {report.blind.reason}"
            results.print(f"  {plain(reason)}", soft_wrap=True)


def two_shares(decoder: int, strongest: int) -> str:
    """Per mille, found by the decoder and by the strongest attack: "5% / 93%"."""
    return f"{_percent(decoder)} / {_percent(strongest)}"


def _percent(share: int) -> str:
    return f"{share / 10:.0f}%"
