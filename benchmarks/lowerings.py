"""Lowerings side by side: tables in docs/lowerings.md and docs/lowerings.svg.

    python benchmarks/lowerings.py matrices|convolutions [--repeat 3] [--write]

Products of square matrices and convolutions of known networks, committed on both sides and without range
lookups. Lowerings with more constraints than --limit are counted, not proved: 16 to 32 channels on 32x32 as
`qap` takes 9 GB, and (256, 256) matrices would take more than 24 GB.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pvcnn.algebra.warmup import compile_kernels
from pvcnn.bench.lowerings import lowerings_of, measure
from pvcnn.bench.measure import machine
from pvcnn.bench.products import ConvolutionShape, MatrixShape, ProductShape, predicted
from pvcnn.program.windows import Windows
from pvcnn.qmp.lowering_plan import Lowering

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "lowerings.md"
PICTURE = ROOT / "docs" / "lowerings.svg"
BEGIN, END = "<!-- benchmarks/lowerings.py writes {} from here -->", "<!-- {} to here -->"

#: The bar of this comparison: proved with every lowering whatever the limit.
EXAMPLE = "16 to 32 on 32x32"
SIZES = (16, 32, 64, 127, 128, 256)
MATRICES: dict[str, ProductShape] = {f"n = {n}": MatrixShape.square(n) for n in SIZES}
CONVOLUTIONS: dict[str, ProductShape] = {
    EXAMPLE: ConvolutionShape(16, 32, 32),
    "LeNet-5, 1 to 6, 5x5 on 32x32": ConvolutionShape(1, 6, 32, Windows.square(5)),
    "LeNet-5, 6 to 16, 5x5 on 14x14": ConvolutionShape(6, 16, 14, Windows.square(5)),
    "LeNet-5, 16 to 120, 5x5 on 5x5": ConvolutionShape(16, 120, 5, Windows.square(5)),
    "VGG, 3 to 64 on 32x32": ConvolutionShape(3, 64, 32),
    "VGG, 64 to 64 on 32x32": ConvolutionShape(64, 64, 32),
    "VGG, 128 to 256 on 8x8": ConvolutionShape(128, 256, 8),
    "VGG, 512 to 512 on 2x2": ConvolutionShape(512, 512, 2),
    "ResNet-18, 64 to 128 on 32x32, stride 2": ConvolutionShape(64, 128, 32, Windows.square(3, 2, 1)),
    "ResNet-18, 64 to 128, 1x1, stride 2": ConvolutionShape(64, 128, 32, Windows.square(1, 2)),
    "ResNet-18, 512 to 512 on 4x4": ConvolutionShape(512, 512, 4),
    "depthwise, 64 on 32x32": ConvolutionShape(64, 64, 32, groups=64),
    "dilated by 2, 16 to 32 on 32x32": ConvolutionShape(16, 32, 32, Windows.square(3, 1, 2, 2)),
}
SHAPES = {"matrices": MATRICES, "convolutions": CONVOLUTIONS}


def rows_of(name: str, report: dict[str, Any]) -> list[str]:
    """A table row for each lowering."""
    rows = []
    for lowering, found in report["lowerings"].items():
        cells = [name, f"`{lowering}`", f"{found['constraints']:,}"]
        if "seconds" in found:
            seconds = found["seconds"]
            cells += [f"2^{found['domain'].bit_length() - 1}"]
            cells += [f"{seconds['setup']:.2f} s", f"{seconds['prove']:.2f} s"]
            cells += [f"{seconds['verify'] * 1e3:.1f} ms"]
            cells += [f"{found['cpu'][step]:.2f} s" for step in ("setup", "prove")]
            cells += [f"{found['bytes']['pk'] / 1e6:.1f} MB"]
        else:
            cells += [""] * 7
        rows.append("| " + " | ".join(cells) + " |")
        name = ""
    return rows


def table(title: str, reports: dict[str, dict[str, Any]]) -> str:
    columns = (
        "lowering | constraints | domain | setup | prove | verify | setup, cpu | prove, cpu | proving key"
    )
    header = f"| {title} | {columns} |"
    rows = [row for name, report in reports.items() for row in rows_of(name, report)]
    return "\n".join([header, "| --- | --- |" + " ---: |" * 8, *rows])


def ratios(reports: dict[str, dict[str, Any]]) -> str:
    """`qap` over `qmp` where both were proved."""
    lines = [
        "| `qap` over `qmp` | constraints | setup | prove | wall: setup | prove | rate: setup | prove |",
        "| --- |" + " ---: |" * 7,
    ]
    for name, report in reports.items():
        ratio = report["ratio"]
        if "prove" in ratio:
            times = ("constraints", "setup", "prove", "wall_setup", "wall_prove")
            cells = [f"{ratio[key]:.1f}" for key in times]
            cells += [f"{ratio[key]:.2f}" for key in ("rate_setup", "rate_prove")]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(matrices: dict[str, dict[str, Any]], path: Path) -> None:
    """Times of matrix products as measured, and constraints of convolutions, which need no measuring."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text as text: the viewer has letters, and the file is short.
    mpl.rcParams |= {"svg.hashsalt": "pvcnn", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(2, 3))
    colours = {"qmp": "C0", "qap": "C3", "qpp": "C2", "im2col": "C1"}
    for lowering in ("qap", "qmp"):
        proved = {
            int(name.removeprefix("n = ")): report["lowerings"][lowering]["seconds"]
            for name, report in matrices.items()
            if "seconds" in report["lowerings"][lowering]
        }
        for step, style in (("prove", "o-"), ("setup", "s--")):
            seconds = [found[step] for found in proved.values()]
            left.loglog(list(proved), seconds, style, color=colours[lowering], label=f"{lowering}, {step}")
    left.set_xlabel("n, of (n, n) times (n, n)")
    left.set_ylabel("wall time on two threads")
    left.set_xticks([n for n in SIZES if n != 127])
    names = list(CONVOLUTIONS)
    for lowering, marker in (("qap", "X"), ("im2col", "^"), ("qpp", "s"), ("qmp", "o")):
        counts = [predicted(CONVOLUTIONS[name], Lowering(lowering)) for name in names]
        right.semilogx(counts, range(len(names)), marker, color=colours[lowering], label=lowering, alpha=0.8)
    left.yaxis.set_major_formatter("{x:g} s")
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlabel("constraints")
    for axes in (left, right):
        axes.minorticks_off()
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def measured(
    shapes: dict[str, ProductShape], repeat: int, limit: int, largest: int
) -> dict[str, dict[str, Any]]:
    """The report of every shape; large ones have one round."""
    reports = {}
    for name, shape in shapes.items():
        most = largest if name == EXAMPLE else limit
        counts = [predicted(shape, lowering) for lowering in lowerings_of(shape)]
        proved = max((count for count in counts if count <= most), default=0)
        rounds = repeat if proved < 1 << 20 else min(repeat, 2)
        reports[name] = measure(shape, rounds, most, least=0.5)
        print(name, reports[name]["lowerings"], f"load {os.getloadavg()[0]:.1f}", flush=True)
    return reports


def write(section: str, text: str) -> None:
    """Puts the text between the section's marks in the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN.format(section))
    _, _, after = rest.partition(END.format(section))
    DOCUMENT.write_text(f"{before}{BEGIN.format(section)}\n{text}\n{END.format(section)}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", choices=SHAPES)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=int, default=2_200_000, help="the most constraints that are proved")
    parser.add_argument("--largest", type=int, default=5_000_000, help=f"the same for {EXAMPLE}")
    parser.add_argument("--write", action="store_true", help="update the document and the picture")
    options = parser.parse_args()
    compile_kernels()
    before = os.getloadavg()[0]
    reports = measured(SHAPES[options.section], options.repeat, options.limit, options.largest)
    origin = f"{machine()}; load average {before:.1f} before and {os.getloadavg()[0]:.1f} after."
    text = "\n\n".join([origin, table(options.section, reports), ratios(reports)])
    print(text)
    if options.write:
        write(options.section, text)
        if options.section == "matrices":
            plot(reports, PICTURE)


if __name__ == "__main__":
    main()
