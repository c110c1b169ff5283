"""`pvcnn plan`: what every cut of a model costs and gives away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pvcnn.cli.inputs import load_model, read_array
from pvcnn.cli.leak import model_and_data, parsed_shape, two_shares
from pvcnn.cli.options import (
    json_option,
    reveal_option,
    usage_errors,
    use_one_torch_thread,
    weights_option,
)
from pvcnn.cli.output import duration, notes, plain, print_json, results, size, table
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
    with usage_errors():
        settings = Settings(weights, reveal, polynomials, measures, budget, seed)
        network, attacked, frames, bound = _inputs(model, calibration, data, shape, budget, seed)
        with PlanProgress() as progress:
            plan = plan_cuts(
                network, frames, attacked, settings, name=model, pixel_bound=bound, progress=progress.show
            )
    if out is not None:
        _write(out, plan, draw(plan))
    if as_json:
        print_json(plan.to_dict())
    else:
        show(plan)


class PlanProgress:
    """A bar over all cuts, with the one that is worked on; a line a cut where stderr is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("planning"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}[/]"),
            console=notes,
        )
        self._task = self._progress.add_task("", total=None)
        self._last = ""

    def __enter__(self) -> PlanProgress:
        if notes.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, number: int, count: int, cut: str, stage: str) -> None:
        """A `pvcnn.planning.cuts.Progress`."""
        described = f"cut {plain(cut)}: {stage}"
        self._progress.update(self._task, total=count, completed=number, description=described)
        if not notes.is_terminal and cut != self._last:
            notes.print(f"cut {plain(cut)} ({number + 1} of {count})")
        self._last = cut


def _inputs(
    model: str, calibration: Path | None, data: str, shape: str | None, budget: float, seed: int
) -> tuple[Any, LeakData | None, Any, float | None]:
    """Network, what is attacked, frames to calibrate with, and their pixel bound."""
    from pvcnn.data.frames import CALIBRATION_FRAMES as DETECTOR_FRAMES
    from pvcnn.data.frames import PIXEL_BOUND
    from pvcnn.data.smooth import smooth_frames
    from pvcnn.models.catalogue import CATALOGUE, create, frames

    known = model in CATALOGUE
    given = None if calibration is None else read_array(calibration)
    if given is not None:
        if given.ndim != 4:
            raise click.UsageError(f"--calibration {calibration}: expected (N, channels, height, width)")
        shape = shape or ",".join(map(str, given.shape[1:]))
    network, attacked = (
        model_and_data(model, data, shape, seed)
        if budget
        else (create(model, seed) if known else load_model(model), None)
    )
    if given is not None:
        return network, attacked, given, None
    if model.startswith("deepfake") and known:  # as pvcnn split calibrates it
        return network, attacked, frames(model, DETECTOR_FRAMES), PIXEL_BOUND
    if known:
        return network, attacked, frames(model, CALIBRATION_FRAMES, seed), None
    return network, attacked, smooth_frames(CALIBRATION_FRAMES, parsed_shape(shape or "1,64,64"), seed), None


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
    if any(row.fits for row in plan.rows):
        names = ("cut", ">predicted", ">measured", ">keys", ">up", ">down", ">error", ">room")
        private = table(f"Private parts of {plain(plan.model)} on ciphertexts, a frame", *names)
        for row in plan.rows:
            if row.encrypted is not None:
                private.add_row(_named(row), *_private_cells(row.encrypted))
        results.print(private)
    columns = ("cut", "features", ">ratio", ">constraints", ">proof", ">frame", ">person")
    public = table(f"What is left to prove ({plan.weights} weights), and what features give away", *columns)
    for row in plan.rows:
        if row.public is not None:
            public.add_row(_named(row), *_public_cells(row, row.public))
    results.print(public)
    notes_below = [
        "Times of one thread, of proofs predicted for two. Error: of a feature, in quantisation steps, "
        "flooding included. Room: bits below the modulus, * for frames like those of the calibration. "
        "Ratio: features over pixels."
    ]
    if any(row.leak for row in plan.rows):
        notes_below.append(
            f"Frame, person: found by decoder / strongest attack, with {plan.budget_seconds:g} s. Attack the "
            "cut that you choose for longer, pvcnn leak, before you trust it. Privacy against the cluster: "
            "not proved."
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


def _named(row: CutRow) -> str:
    """What --cut takes; with blocks, the layer that ends the last of them too."""
    return plain(f"{row.cut}: {row.layer}" if row.blocks else row.cut)


def _private_cells(cost: EncryptedCost) -> tuple[str, ...]:
    found = cost.measured
    return (
        duration(cost.seconds),
        "" if found is None else duration(found.evaluate_seconds),
        size(cost.evaluation_keys),
        size(cost.upload),
        size(cost.download),
        f"{cost.error_steps if found is None else found.error_steps:.3f}",
        f"{cost.headroom_bits}{'' if cost.proved else '*'}",
    )


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
