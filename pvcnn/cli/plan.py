"""`pvcnn plan`: what every cut of a model costs and gives away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from pvcnn.cli.inputs import read_array
from pvcnn.cli.leak import model_and_data, network, parsed_shape, two_shares
from pvcnn.cli.options import (
    check_folder,
    json_option,
    reveal_option,
    usage_errors,
    use_one_torch_thread,
    weights_option,
)
from pvcnn.cli.output import duration, notes, plain, print_json, results, size, table
from pvcnn.cli.progress import CutProgress
from pvcnn.planning.limits import merged
from pvcnn.planning.rows import CutPlan, CutRow, EncryptedCost, PublicCost

if TYPE_CHECKING:
    from pvcnn.leak.data import LeakData

#: As pvcnn.planning.cuts has it, which needs torch.
DEFAULT_BUDGET = 20.0
#: Of catalogue networks, or smooth random ones for other models.
CALIBRATION_FRAMES = 64


@click.command("plan")
@click.argument("model", metavar="NAME|MODULE:FUNCTION|FILE.onnx")
@click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npy",
    help="Prepared frames, float (N, channels, height, width); by default the catalogue's own.",
)
@click.option(
    "--data",
    type=click.Choice(["auto", "faces", "digits", "random"]),
    default="auto",
    show_default=True,
    help="What is attacked, as of pvcnn leak.",
)
@click.option(
    "--shape",
    metavar="CHANNELS,HEIGHT,WIDTH",
    help="Of random frames, for a MODEL that is not in the catalogue and without --calibration.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    default=DEFAULT_BUDGET,
    show_default=True,
    metavar="SECONDS",
    help="The attackers', for each cut that fits, as a fixed number of steps; 0: no attacks.",
)
@click.option(
    "--measure/--no-measure",
    "measures",
    default=True,
    show_default=True,
    help="Encrypt, evaluate and decrypt one frame for each cut that fits.",
)
@click.option(
    "--polynomials",
    type=click.IntRange(2, 4),
    metavar="DEGREE",
    help="As if activations before each cut were polynomials of this degree, fitted and not trained with.",
)
@weights_option
@reveal_option
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write plan.json and plan.svg.",
)
@json_option
def plan_command(
    model: str,
    calibration: Path | None,
    data: str,
    shape: str | None,
    budget: float,
    measures: bool,
    polynomials: int | None,
    weights: str,
    reveal: str,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """OWNER: what every cut of MODEL costs and gives away, before you choose one.

    MODEL is a network of the catalogue (such as deepfake), a function without arguments that returns a
    torch module, or an ONNX model. Times are predicted for one thread and, unless --no-measure, measured.
    """
    use_one_torch_thread()
    from pvcnn.planning.cuts import Settings, plan_cuts
    from pvcnn.planning.picture import check_drawable, draw

    if out is not None:
        check_drawable()
        check_folder(out, "--out")
    with usage_errors():
        settings = Settings(weights, reveal, polynomials, measures, budget, seed)
        with notes.status("reading the model and frames"):
            loaded, attacked, frames, bound = _inputs(model, calibration, data, shape, budget, seed)
        with CutProgress("planning") as progress:
            plan = plan_cuts(
                loaded, frames, attacked, settings, name=model, pixel_bound=bound, progress=progress.show
            )
    if out is not None:
        _write(out, plan, draw(plan))
    if as_json:
        print_json(plan.to_dict())
    else:
        show(plan)


def _inputs(
    model: str, calibration: Path | None, data: str, shape: str | None, budget: float, seed: int
) -> tuple[Any, LeakData | None, Any, float | None]:
    """Network, what is attacked, frames to calibrate with, and their pixel bound."""
    from pvcnn.data.frames import CALIBRATION_FRAMES as DETECTOR_FRAMES
    from pvcnn.data.frames import PIXEL_BOUND
    from pvcnn.data.smooth import smooth_frames
    from pvcnn.models.catalogue import CATALOGUE, frames

    known = CATALOGUE.get(model)
    given = None if calibration is None else read_array(calibration)
    if given is not None:
        if given.ndim != 4 or 0 in given.shape:
            raise click.UsageError(
                f"--calibration {calibration}: has the shape {given.shape}; "
                "(N, channels, height, width) is wanted, with one frame at least"
            )
        if known is not None and given.shape[1:] != known.input_shape:
            raise click.UsageError(
                f"--calibration {calibration}: frames have the shape {given.shape[1:]}, "
                f"{model} takes {known.input_shape}"
            )
        shape = shape or ",".join(map(str, given.shape[1:]))
    loaded, attacked = model_and_data(model, data, shape, seed) if budget else (network(model, seed), None)
    if given is not None:
        return loaded, attacked, given, None
    if model.startswith("deepfake") and known is not None:  # as pvcnn split calibrates it
        return loaded, attacked, frames(model, DETECTOR_FRAMES), PIXEL_BOUND
    if known is not None:
        return loaded, attacked, frames(model, CALIBRATION_FRAMES, seed), None
    return loaded, attacked, smooth_frames(CALIBRATION_FRAMES, parsed_shape(shape or "1,64,64"), seed), None


def _write(folder: Path, plan: CutPlan, picture: bytes) -> None:
    from pvcnn.files import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plan.to_dict(), indent=1, sort_keys=True) + "\n"
    write_atomically(folder / "plan.json", text.encode())
    write_atomically(folder / "plan.svg", picture)


def show(plan: CutPlan) -> None:
    """The cuts that fit as a table; then, in words, why the others don't."""
    if plan.polynomials is not None:
        results.print(
            f"Activations before a cut counted as polynomials of degree {plan.polynomials}: replace them and "
            "train on (pvcnn.partition.polynomials) before you split.",
            soft_wrap=True,
        )
    fitting = [row for row in plan.rows if row.fits]
    if fitting:
        results.print(_private_table(plan, fitting))
    else:
        results.print("No cut fits.", style="bold yellow")
    results.print(_public_table(plan))
    notes_below = ["Ratio: features over pixels. Proof: predicted, for two threads."]
    if fitting:
        notes_below.append(
            "Predicted, measured: one thread. Error: of a feature, in quantisation steps, flooding included. "
            "Room: bits below the modulus, * for frames like those of the calibration."
        )
    elif plan.polynomials is None and any("replace_activations" in row.refused for row in plan.rows):
        notes_below.append("--polynomials 2 plans as if activations before each cut were polynomials.")
    if any(row.leak for row in plan.rows):
        notes_below.append(
            f"Frame, {_kind(plan)}: found by decoder / strongest attack, with {plan.budget_seconds:g} s of "
            "one thread. Attack the cut that you choose for longer, pvcnn leak, before you trust it. "
            "Privacy against the cluster: not proved."
        )
    costs = [(row.cut, row.encrypted) for row in plan.rows if row.encrypted is not None]
    if any(cost.measured for _, cost in costs):
        notes_below += [
            f"Cut {cut}: not measured, which would take about {size(cost.memory)} of memory"
            for cut, cost in costs
            if cost.measured is None
        ]
    refused = merged([(row.cut, row.refused) for row in plan.rows])
    lines = [f"Cut {cuts}: {reason}" for cuts, reason in refused if reason]
    for line in (*notes_below, *lines):
        results.print(plain(line), soft_wrap=True)


def _private_table(plan: CutPlan, rows: list[CutRow]) -> Table:
    names = ["cut", ">predicted", ">measured", ">keys", ">up", ">down", ">error", ">room"]
    is_measured = any(row.encrypted is not None and row.encrypted.measured for row in rows)
    if not is_measured:
        names.remove(">measured")
    private = table(f"Private parts of {plain(plan.model)} on ciphertexts, a frame", *names)
    _keep_names(private)
    for row in rows:
        if row.encrypted is not None:
            private.add_row(plain(row.cut), *_private_cells(row.encrypted, is_measured))
    return private


def _public_table(plan: CutPlan) -> Table:
    title = f"What is left to prove ({plan.weights} weights)"
    names = ["cut", "features", ">ratio", ">constraints", ">proof", ">frame", f">{_kind(plan)}"]
    is_attacked = any(row.leak for row in plan.rows)
    if is_attacked:
        title += ", and what features give away"
    public = table(title, *(names if is_attacked else names[:-2]))
    _keep_names(public)
    for row in plan.rows:
        if row.public is not None:
            cells = _public_cells(row, row.public)
            public.add_row(_named(row), *(cells if is_attacked else cells[:-2]))
    return public


def _kind(plan: CutPlan) -> str:
    """What is shown by the frames that were attacked."""
    return next((row.leak.people.kind for row in plan.rows if row.leak and row.leak.people), "person")


def _keep_names(names: Table) -> None:
    """Room for whole names in 80 columns; longer ones are folded, never cut short: they have to be copied."""
    names.box, names.pad_edge, names.padding = SIMPLE_HEAD, False, (0, 1, 0, 0)
    for column in names.columns:
        column.overflow = "fold"


def _named(row: CutRow) -> str:
    """What --cut takes; with blocks, the layer that ends the last of them too."""
    return plain(f"{row.cut}: {row.layer}" if row.blocks else row.cut)


def _private_cells(cost: EncryptedCost, is_measured: bool) -> tuple[str, ...]:
    found = cost.measured
    return (
        duration(cost.seconds),
        *(["" if found is None else duration(found.evaluate_seconds)] if is_measured else []),
        *map(_short_size, (cost.evaluation_keys, cost.upload, cost.download)),
        f"{cost.error_steps if found is None else found.error_steps:.3f}",
        f"{cost.headroom_bits}{'' if cost.proved else '*'}",
    )


def _short_size(count: int) -> str:
    """Three digits will do."""
    if count >= 10**8:
        return f"{count / 1e6:.0f} MB"
    return size(count) if count >= 10**6 else f"{count / 1e3:.0f} kB"


def _public_cells(row: CutRow, cost: PublicCost) -> tuple[str, ...]:
    leak = row.leak
    people = None if leak is None else leak.people
    return (
        "x".join(map(str, row.feature_shape)),
        f"{row.ratio:.3f}",
        f"{cost.constraints:,}",
        duration(cost.prove_seconds),
        "" if leak is None else two_shares(leak.frames_by_decoder, leak.frames_by_best),
        "" if people is None else two_shares(people.by_decoder, people.by_best),
    )
