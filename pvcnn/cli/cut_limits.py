"""`split --cut auto`: the options that limit what the cut may cost and give away, and the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

import click

from pvcnn.cli.output import duration, notes, plain
from pvcnn.cli.plan import DEFAULT_BUDGET
from pvcnn.cli.progress import CutProgress
from pvcnn.planning.limits import Choice, Limits
from pvcnn.planning.rows import CutRow

Command = TypeVar("Command", bound=Callable[..., Any])

AUTO = "auto"
_SECONDS = click.FloatRange(min=0, min_open=True)
_SHARE = click.FloatRange(0, 1)
#: The name of each limit's option, and what click needs to know of it.
_OPTIONS: dict[str, tuple[str, Any, str, str]] = {
    "encrypted_seconds": (
        "--max-encrypted-seconds",
        _SECONDS,
        "SECONDS",
        "With --cut auto: of a frame's private part, predicted for one thread.",
    ),
    "proving_seconds": (
        "--max-proving-seconds",
        _SECONDS,
        "SECONDS",
        "With --cut auto: of a frame's proof, predicted for two threads.",
    ),
    "features": ("--max-features", click.IntRange(min=1), "COUNT", "With --cut auto: that the cluster sees."),
    "frame_retrieval": (
        "--max-frame-retrieval",
        _SHARE,
        "SHARE",
        "With --cut auto: 0 to 1, right frames found by the strongest attack.",
    ),
    "person_retrieval": (
        "--max-person-retrieval",
        _SHARE,
        "SHARE",
        "With --cut auto: 0 to 1, right people (or classes) named by the strongest attack.",
    ),
}


def cut_limit_options(command: Command) -> Command:
    """The command is called with `limits` and the attackers' `attack_budget`."""

    @wraps(command)
    def limited(*arguments: Any, **options: Any) -> Any:
        limits = Limits(**{name: options.pop(f"max_{name}") for name in _OPTIONS})
        return command(*arguments, limits=limits, **options)

    decorated: Any = limited
    decorated = click.option(
        "--attack-budget",
        type=click.FloatRange(min=0, min_open=True),
        default=DEFAULT_BUDGET,
        show_default=True,
        metavar="SECONDS",
        help="With limits on what is found: the attackers', for each cut that has to be attacked.",
    )(decorated)
    for option, kind, metavar, text in reversed(_OPTIONS.values()):
        decorated = click.option(option, type=kind, metavar=metavar, help=text)(decorated)
    chosen: Command = decorated
    return chosen


def check_limits(cut: str | None, limits: Limits) -> None:
    """Raises UsageError for limits without `--cut auto`, where nothing would heed them."""
    if cut != AUTO and limits != Limits():
        raise click.UsageError("--max-... options limit --cut auto; without it, leave them out")


def chosen_cut(
    model: Any, frames: Any, limits: Limits, budget: float, weights: str, reveal: str, bound: float | None
) -> int | str:
    """The cheapest cut within the limits, as `split` takes it. Raises CutRefused, with all reasons."""
    from pvcnn.leak.data import data_for
    from pvcnn.partition.calibrated import checked_frames
    from pvcnn.planning.cuts import Settings, automatic_cut

    channels, height, width = checked_frames(frames).shape[1:]
    data = data_for("", (channels, height, width)) if limits.need_attacks else None
    settings = Settings(weights, reveal, measures=False, budget=budget)
    with CutProgress("planning") as progress:
        choice = automatic_cut(
            model, frames, limits, data, settings, pixel_bound=bound, progress=progress.show
        )
    for line in _described(choice):
        notes.print(plain(line), soft_wrap=True)
    row = choice.row
    return row.layer if row.blocks is None else row.blocks


def _described(choice: Choice) -> Iterator[str]:
    """What the cut costs and leaks, beside those around it."""
    yield f"cut {_costs(choice.row)}"
    leak = choice.row.leak
    if leak is not None:
        people = leak.people
        named = "" if people is None else f", right {people.kind} named for {people.by_best / 1000:.1%}"
        yield (
            f"  attacked for {leak.budget_milliseconds / 1000:g} s, {leak.data}: right frame found for "
            f"{leak.frames_by_best / 1000:.1%}{named}; pvcnn leak attacks it for longer"
        )
    for row, exceeded in choice.cheaper:
        yield f"  cheaper, but too much: {_costs(row)}; {exceeded}"
    if choice.dearer is not None:
        yield f"  next dearer: {_costs(choice.dearer)}"


def _costs(row: CutRow) -> str:
    assert row.encrypted is not None
    assert row.public is not None
    return (
        f"{row.cut}: {row.features} features, {duration(row.encrypted.seconds)} encrypted, "
        f"{row.public.constraints:,} constraints, {duration(row.public.prove_seconds)} a proof, predicted"
    )
