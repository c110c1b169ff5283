"""Encrypted time against what leaks, a point for each cut; and what is left to prove. Drawn by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvcnn.errors import DependencyMissing
from pvcnn.planning.rows import CutPlan, CutRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (10.0, 4.6)


def check_drawable() -> None:
    """Raises DependencyMissing without matplotlib: to be called before minutes of work."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DependencyMissing("matplotlib draws the picture: pip install 'pvcnn[plan]'") from error


def draw(plan: CutPlan) -> bytes:
    """An SVG of two panels, the same for the same plan.

    Left: seconds of the private part on ciphertexts (measured where they were, else predicted) against the
    shares of frames that the strongest attack and the decoder find, or features over pixels where nothing
    was attacked; of people too, where frames show people. Right: those seconds against the constraints of
    the public part. Raises DependencyMissing without matplotlib.
    """
    check_drawable()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    fitting = [row for row in plan.rows if row.fits]
    with mpl.rc_context({"svg.hashsalt": "pvcnn"}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        figure.suptitle(f"{plan.model}: cuts that fit, by name" if fitting else f"{plan.model}: no cut fits")
        left, right = figure.subplots(1, 2)
        _draw_leak(left, plan, fitting)
        _draw_constraints(right, plan, fitting)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _seconds(rows: list[CutRow]) -> list[float]:
    return [row.encrypted.best_seconds for row in rows if row.encrypted is not None]


def _draw_leak(axes: Axes, plan: CutPlan, rows: list[CutRow]) -> None:
    seconds = _seconds(rows)
    leaks = [row.leak for row in rows if row.leak is not None]
    if len(leaks) == len(rows) and rows:
        frames = [leak.frames_by_best / 10 for leak in leaks]
        label = f"right frame of {leaks[0].candidates}"
        _draw_found(axes, seconds, frames, [leak.frames_by_decoder / 10 for leak in leaks], "o", label)
        named = [leak.people for leak in leaks if leak.people is not None]
        if len(named) == len(leaks):
            label = f"right {named[0].kind} of {named[0].count}"
            best, decoded = zip(*((each.by_best / 10, each.by_decoder / 10) for each in named), strict=True)
            _draw_found(axes, seconds, best, decoded, "^", label)
            axes.axhline(
                named[0].chance / 10, linestyle=":", color="gray", label=f"{named[0].kind} by chance"
            )
        axes.set_ylabel(f"found, % (attackers' budget {plan.budget_seconds:g} s a cut)")
        axes.set_ylim(-3, 112)
        _label(axes, rows, seconds, frames)
        axes.legend(fontsize=7, loc="lower left")
    else:
        ratios = [row.ratio for row in rows]
        axes.scatter(seconds, ratios)
        axes.set_ylabel("features over pixels (nothing was attacked)")
        axes.set_yscale("log")
        _label(axes, rows, seconds, ratios)
    axes.set_xlabel("private part of a frame on ciphertexts, s")
    axes.margins(x=0.2)
    axes.grid(alpha=0.3)


def _draw_found(
    axes: Axes,
    seconds: Sequence[float],
    best: Sequence[float],
    decoded: Sequence[float],
    marker: str,
    label: str,
) -> None:
    """Full markers for the strongest attack, hollow ones for the decoder."""
    points = axes.scatter(seconds, best, marker=marker, label=f"{label}, strongest attack")
    colour = points.get_facecolor()
    axes.scatter(
        seconds, decoded, marker=marker, facecolors="none", edgecolors=colour, label=f"{label}, decoder"
    )


def _draw_constraints(axes: Axes, plan: CutPlan, rows: list[CutRow]) -> None:
    seconds = _seconds(rows)
    constraints = [row.public.constraints for row in rows if row.public is not None]
    axes.scatter(seconds, constraints)
    _label(axes, rows, seconds, [float(count) for count in constraints])
    reference = plan.rows[0].public
    if reference is not None:
        axes.axhline(reference.constraints, linestyle=":", color="gray", label="nothing private (cut 0)")
        axes.legend(fontsize=8)
    axes.set_yscale("log")
    axes.set_ylabel(f"constraints of the public part, {plan.weights} weights")
    axes.set_xlabel("private part of a frame on ciphertexts, s")
    axes.margins(x=0.2)
    axes.grid(alpha=0.3)


def _label(axes: Axes, rows: list[CutRow], across: list[float], up: list[float]) -> None:
    """Names of cuts, above and below their points by turns: neighbours are often close."""
    for number, (row, x, y) in enumerate(zip(rows, across, up, strict=True)):
        offset = (0, 7) if number % 2 == 0 else (0, -13)
        axes.annotate(row.cut, (x, y), offset, textcoords="offset points", ha="center", fontsize=7)
