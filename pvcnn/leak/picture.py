"""Frames and their reconstructions side by side, for eyes to judge: a PNG, drawn with pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvcnn.errors import DependencyMissing
from pvcnn.leak.report import LeakReport

if TYPE_CHECKING:
    from PIL import Image

#: Columns of a sheet: of all attacked frames the worst reconstructed, those about the median, the best.
COLUMNS = {"worst": 3, "median": 4, "best": 3}
_CELL, _GAP, _LINE, _SIDE, _BETWEEN = 128, 4, 18, 270, 16
_FONT = 12
_INK, _PAPER = 0, 255


def check_drawable() -> None:
    """Raises DependencyMissing without pillow: to be called before minutes of work."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise DependencyMissing("pillow draws the picture: pip install 'pvcnn[demo]'") from error


def draw(reports: Sequence[LeakReport]) -> bytes:
    """One sheet for all cuts: a row of frames, then for each cut its figures and a row of reconstructions.

    Frames are those that the first report's decoder reconstructs worst, about the median and best, of
    different people as far as there are so many: every cut shows the same ones. Raises DependencyMissing
    without pillow, ValueError for reports on different frames.
    """
    check_drawable()
    from PIL import Image, ImageDraw, ImageFont

    first = reports[0]
    if any(not torch.equal(report.pictures, first.pictures) for report in reports):
        raise ValueError("the reports are on different frames: draw a picture for each")
    chosen = _chosen(first)
    band = _CELL + _LINE + _GAP
    width = _SIDE + sum(map(len, chosen.values())) * (_CELL + _GAP) + (len(chosen) - 1) * _BETWEEN
    sheet = Image.new("L", (width, _LINE + (1 + len(reports)) * band), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT)

    def text(left: int, top: int, lines: list[str]) -> None:
        pen.multiline_text((left, top), "\n".join(lines), _INK, font, spacing=3)

    text(_GAP, _LINE, ["frames that are attacked", "", "below: what a decoder makes", "of their features"])
    for row, report in enumerate(reports, 1):
        text(_GAP, _LINE + row * band, _caption(report))
    left = _SIDE
    for name, frames in chosen.items():
        text(left, 1, [f"{name} behind cut {first.cut}"])
        for number in frames:
            sheet.paste(_image(first.pictures[number]), (left, _LINE))
            for row, report in enumerate(reports, 1):
                top = _LINE + row * band
                sheet.paste(_image(report.decoder.pictures[number]), (left, top))
                text(left, top + _CELL, [f"{float(report.decoder.decibels[number]):.1f} dB"])
            left += _CELL + _GAP
        left += _BETWEEN
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _chosen(report: LeakReport) -> dict[str, list[int]]:
    """Numbers of frames."""
    order = report.decoder.decibels.argsort(stable=True).tolist()
    middle = (len(order) - COLUMNS["median"]) // 2
    ranked = {"worst": order, "median": order[max(middle, 0) :], "best": order[::-1]}
    return {name: _different(frames, report, COLUMNS[name]) for name, frames in ranked.items()}


def _different(frames: list[int], report: LeakReport, count: int) -> list[int]:
    """The first `count` that show different people, as far as there are so many; crops of one look alike."""
    shown = report.identities.tolist()
    first_of: dict[int, int] = {}
    for number in frames:
        first_of.setdefault(shown[number], number)
    firsts = list(first_of.values())
    return [*firsts, *(number for number in frames if number not in firsts)][:count]


def _caption(report: LeakReport) -> list[str]:
    summary = report.summary()
    lines = [
        f"cut {report.cut}: {'x'.join(map(str, report.feature_shape))} features",
        f"{summary.psnr / 1000:.1f} dB, similarity {summary.similarity / 1000:.2f}",
        f"frame of {summary.candidates}: decoder {_percent(summary.frames_by_decoder)},"
        f" strongest {_percent(summary.frames_by_best)}",
    ]
    people = summary.people
    if people is not None:
        lines += [
            f"{people.kind} of {people.count}: decoder {_percent(people.by_decoder)},"
            f" strongest {_percent(people.by_best)}",
            f"{people.kind} by chance {_percent(people.chance)}",
        ]
    return [*lines, f"budget {report.budget_seconds:g} s"]


def _percent(share: int) -> str:
    return f"{share / 10:.0f}%"


def _image(picture: Tensor) -> Image.Image:
    from PIL import Image

    values: NDArray[np.float32] = picture.mean(0).clamp(0, 1).numpy()
    pixels = np.rint(values * 255).astype(np.uint8)
    scale = _CELL / max(pixels.shape)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
