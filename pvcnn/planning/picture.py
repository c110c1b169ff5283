"""A line for each cut that fits: encrypted time, what is left to prove, features, what attacks found."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pvcnn.errors import DependencyMissing
from pvcnn.planning.rows import CutPlan, CutRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _LINE, _REST = 12.0, 0.32, 2.0
#: Lines that are kept free where there are fewer cuts: titles of axes would lie on each other.
_FEWEST = 3
_SMALL = 8
#: On axes of powers of ten: at least so many ticks, at the first of these multiples that have them.
_TICKS, _MOST, _MULTIPLES = 3, 6, ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
#: Colours that stay apart for those who do not see red or green, and in gray.
_BLUE, _ORANGE = "#0072b2", "#d55e00"


def check_drawable() -> None:
    """Raises DependencyMissing without matplotlib: to be called before minutes of work."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DependencyMissing("matplotlib draws the picture: pip install 'pvcnn[plan]'") from error


def draw(plan: CutPlan) -> bytes:
    """An SVG, the same for the same plan: a line for each cut that fits, in the order of the layers.

    From left to right: seconds of the private part on ciphertexts, predicted and measured; constraints of
    the public part; features over pixels; and where cuts were attacked, the shares of frames and people
    that the strongest attack and the decoder find. Raises DependencyMissing without matplotlib.
    """
    check_drawable()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = [row for row in plan.rows if row.fits]
    attacked = bool(rows) and all(row.leak is not None for row in rows)
    height = _REST + _LINE * max(len(rows), _FEWEST)
    with mpl.rc_context({"svg.hashsalt": "pvcnn", "font.size": _SMALL + 1}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.suptitle(_title(plan, rows))
        if rows:
            panels = figure.subplots(1, 3 + attacked, sharey=True)
            _draw_seconds(panels[0], rows)
            _draw_constraints(panels[1], plan, rows)
            _draw_ratios(panels[2], rows)
            if attacked:
                _draw_found(panels[3], plan, rows)
            _name_lines(panels[0], rows)
            _explain(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _title(plan: CutPlan, rows: list[CutRow]) -> str:
    if not rows:
        return f"{plan.model}: none of {len(plan.rows)} cuts fits"
    degree = plan.polynomials
    counted = "" if degree is None else f", activations before a cut as polynomials of degree {degree}"
    return f"{plan.model}: the cuts that fit, {len(rows)} of {len(plan.rows)}{counted}"


def _draw_seconds(axes: Axes, rows: list[CutRow]) -> None:
    costs = [(line, row.encrypted) for line, row in enumerate(rows) if row.encrypted is not None]
    predicted = [(cost.seconds, line) for line, cost in costs]
    measured = [(cost.measured.evaluate_seconds, line) for line, cost in costs if cost.measured is not None]
    _points(axes, predicted, "o", _BLUE, "time: predicted", is_full=False)
    _points(axes, measured, "o", _BLUE, "time: measured")
    _logarithmic(axes)
    axes.set_xlabel("private part on ciphertexts,\nseconds a frame")


def _draw_constraints(axes: Axes, plan: CutPlan, rows: list[CutRow]) -> None:
    counts = [
        (row.public.constraints / 1000, line) for line, row in enumerate(rows) if row.public is not None
    ]
    _points(axes, counts, "s", "black")
    reference = plan.rows[0].public
    if reference is not None:
        without = reference.constraints / 1000
        axes.axvline(without, linestyle="--", color="gray", label="nothing private (cut 0)")
    _logarithmic(axes)
    axes.set_xlabel(f"left to prove, thousand constraints\n({plan.weights} weights)")


def _draw_ratios(axes: Axes, rows: list[CutRow]) -> None:
    _points(axes, [(row.ratio, line) for line, row in enumerate(rows)], "s", "black")
    _logarithmic(axes)
    axes.set_xlabel("features that the cluster sees,\nover pixels")


def _draw_found(axes: Axes, plan: CutPlan, rows: list[CutRow]) -> None:
    """Full markers for the strongest attack, hollow ones for the decoder; people a little below frames."""
    leaks = [(line, row.leak) for line, row in enumerate(rows) if row.leak is not None]
    label = f"right frame of {leaks[0][1].candidates}"
    best = [(leak.frames_by_best / 10, line - 0.12) for line, leak in leaks]
    decoded = [(leak.frames_by_decoder / 10, line - 0.12) for line, leak in leaks]
    _points(axes, best, "o", _BLUE, f"{label}: strongest attack")
    _points(axes, decoded, "o", _BLUE, f"{label}: decoder", is_full=False)
    named = [(line, leak.people) for line, leak in leaks if leak.people is not None]
    if named:
        people = named[0][1]
        label = f"right {people.kind} of {people.count}"
        best = [(each.by_best / 10, line + 0.12) for line, each in named]
        decoded = [(each.by_decoder / 10, line + 0.12) for line, each in named]
        _points(axes, best, "^", _ORANGE, f"{label}: strongest attack")
        _points(axes, decoded, "^", _ORANGE, f"{label}: decoder", is_full=False)
        by_chance = f"right {people.kind} by chance"
        axes.axvline(people.chance / 10, linestyle=":", color=_ORANGE, label=by_chance)
    axes.set_xlim(-4, 104)
    axes.set_xlabel(f"found by attackers, %\n(budget {plan.budget_seconds:g} s a cut)")
    _grid(axes)


def _points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    marker: str,
    colour: str,
    label: str | None = None,
    is_full: bool = True,
) -> None:
    """Points (value, line)."""
    if not points:
        return
    across, lines = zip(*points, strict=True)
    filling = colour if is_full else "none"
    axes.scatter(
        across, lines, 34, marker=marker, facecolors=filling, edgecolors=colour, label=label, zorder=3
    )


def _logarithmic(axes: Axes) -> None:
    """Ticks as people write numbers: so many multiples of powers of ten that three are in sight.

    Values that lie too close for that have ticks at equal distances.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    axes.margins(x=0.15)
    low, high = axes.get_xlim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in _MULTIPLES:
        ticks = [multiple * 10.0**decade for decade in decades for multiple in multiples]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= _TICKS:
            axes.xaxis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / _MOST)]))
            break
    else:
        axes.xaxis.set_major_locator(MaxNLocator(_MOST))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _grid(axes)


def _grid(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=_SMALL)


def _explain(figure: Figure) -> None:
    """What markers mean, then lines, below all panels."""
    from matplotlib.lines import Line2D

    shown = [each for axes in figure.axes for each in zip(*axes.get_legend_handles_labels(), strict=True)]
    shown.sort(key=lambda each: isinstance(each[0], Line2D))
    handles, labels = zip(*shown, strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=_SMALL, frameon=False)


def _name_lines(axes: Axes, rows: list[CutRow]) -> None:
    options: dict[str, Any] = {"labels": [_named(row) for row in rows], "fontsize": _SMALL}
    axes.set_yticks(range(len(rows)), **options)
    axes.set_ylim(max(len(rows), _FEWEST) - 0.5, -0.5)
    axes.set_ylabel("cut")


def _named(row: CutRow) -> str:
    return f"{row.layer}: {row.cut}" if row.blocks else row.cut
