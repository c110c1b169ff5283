"""What the features of our networks give away: the tables of docs/leak.md, and docs/leak.png.

    python benchmarks/leak.py [--budget SECONDS] [--only NAME] [--results FOLDER] [--note TEXT] [--write]
    python benchmarks/leak.py [--budget SECONDS] --ship

Attacks the frames of the shipped detector, what its first, second and third block make of them, LeNet-5, a
network of ten layers (benchmarks/ten_layers.py), and the kind of block that decoders are compared by; digits
with a smaller budget than faces. `--results` keeps what was measured in a folder, or takes it from there.
`--note` says what else is to be said of the machine. `--ship` attacks the shipped detector behind the demo's
cut alone, and writes the figures that its testers are shown (`pvcnn.leak.shipped`): after every change of the
weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from ten_layers import NAME as TEN_LAYERS
from ten_layers import ten_layers
from torch import Tensor, nn

from pvcnn.bench.documents import markdown_table, measured_here, replace_measured
from pvcnn.leak.budget import DEFAULT_SECONDS
from pvcnn.leak.data import Frames, LeakData, digit_data, face_data
from pvcnn.leak.image_quality import decibels, similarity
from pvcnn.leak.measure import measure
from pvcnn.leak.picture import draw
from pvcnn.leak.private import behind_cut
from pvcnn.leak.report import LeakReport
from pvcnn.leak.shipped import ship_figures
from pvcnn.models.catalogue import create
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.layers import Square

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "leak.md"
PICTURE = ROOT / "docs" / "leak.png"
SCRIPT = "benchmarks/leak.py"
CUTS: dict[str, tuple[int, ...]] = {"deepfake": (0, 1, 2, 3), "lenet5": (1, 2), TEN_LAYERS: (2, 4, 8)}
#: Seconds for each cut of the networks for digits, of which there are few, small ones.
DIGIT_SECONDS = 30.0
#: The block whose features small decoders are compared by: frames normalised one by one.
REFERENCE = "reference"
#: The network of docs/leak.png.
PICTURED = "deepfake"


def reference() -> tuple[LeakData, nn.Module]:
    """Frames normalised one by one, with all their tone; eight zero-mean 3x3 filters, square, 4x4 average."""
    faces = face_data()
    data = replace(faces, train=_normalised(faces.train), attacked=_normalised(faces.attacked))
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(8, 1, 3, 3, generator=generator)
    weight -= weight.mean((2, 3), keepdim=True)
    convolution = nn.Conv2d(1, 8, 3, padding=1, bias=False)
    convolution.weight.data = weight / weight.norm(dim=(2, 3), keepdim=True)
    return data, nn.Sequential(convolution, Square(), nn.AvgPool2d(4)).eval()


def _normalised(frames: Frames) -> Frames:
    mean, deviation = _tone(frames.pictures)
    return replace(frames, inputs=(frames.pictures - mean) / deviation)


def _tone(pictures: Tensor) -> tuple[Tensor, Tensor]:
    across = (1, 2, 3)
    return pictures.mean(across, keepdim=True), pictures.std(across, keepdim=True)


def with_tone(report: LeakReport) -> dict[str, float]:
    """Decoded normalised frames, their own mean and deviation given back: dB and similarity of pictures."""
    mean, deviation = _tone(report.pictures)
    pictures = (report.decoder.inputs * deviation + mean).clamp(0, 1)
    return {
        "picture_psnr": float(decibels(pictures, report.pictures).mean()),
        "picture_ssim": float(similarity(pictures, report.pictures).mean()),
    }


def downsampled(pictures: Tensor) -> float:
    """dB of pictures that went through a quarter of their size: what the figures compare with."""
    small = F.avg_pool2d(pictures, 4)
    back = F.interpolate(small, list(pictures.shape[2:]), mode="bilinear")
    return float(decibels(back, pictures).mean())


def attack(name: str, seconds: float) -> tuple[dict[str, Any], list[LeakReport]]:
    """Figures of one network by cut, and the reports of which pictures can be drawn."""
    if name == REFERENCE:
        data, block = reference()
        report = measure(block, data, seconds, cut=REFERENCE)
        figures = report.to_dict() | {"with_tone": with_tone(report)}
        return {REFERENCE: figures | {"downsampled": downsampled(report.pictures)}}, []
    model = ten_layers() if name == TEN_LAYERS else create(name)
    data = face_data() if name == PICTURED else digit_data()
    reports = []
    for cut in CUTS[name]:
        private = behind_cut(model, data.attacked.inputs, cut)
        reports.append(measure(private, data, seconds, cut=str(cut)))
        print(name, "\n".join(reports[-1].summary().lines()), sep="\n", file=sys.stderr, flush=True)
    figures = {report.cut: report.to_dict() for report in reports}
    return figures, [report for report in reports if report.cut != "0"]  # frames need no decoding


def measured(name: str, seconds: float, folder: Path | None) -> tuple[dict[str, Any], bytes]:
    """Figures and picture of one network, out of `folder` if they are there; else they are put there."""
    kept = folder / f"{name}.json" if folder else None
    if kept is not None and kept.exists():
        drawn = kept.with_suffix(".png")
        return json.loads(kept.read_text()), drawn.read_bytes() if drawn.exists() else b""
    figures, reports = attack(name, seconds)
    found = {
        "measured": measured_here(),
        "budget": seconds,
        "figures": figures,
    }
    picture = draw(reports) if reports else b""
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1))
        if picture:
            kept.with_suffix(".png").write_bytes(picture)
    return found, picture


def table(results: dict[str, Any]) -> str:
    """A row for each network and cut."""
    columns = (
        *("network, cut", "private part", "features / pixels", "budget", "dB", "SSIM"),
        *("frame of 320: decoder", "strongest", "person or class: decoder", "strongest", "chance"),
        *("copy of the private part: error", "filters' error", "pairs", "distance correlation (shuffled)"),
    )
    rows = [
        _row(f"{name}, {cut}", found)
        for name in CUTS
        for cut, found in results.get(name, {}).get("figures", {}).items()
    ]
    return markdown_table(columns, rows, left=2)


def _row(name: str, found: dict[str, Any]) -> list[str]:
    decoder, frame, weights = found["decoder"], found["frame_retrieval"], found["weight_recovery"]
    person, dependence = found["person_retrieval"], found["distance_correlation"]
    cells = [
        name,
        found["private"],
        f"{found['features_over_pixels']:.3f}",
        f"{found['budget_seconds']:g} s",
        f"{decoder['picture_psnr']:.1f}",
        f"{decoder['picture_ssim']:.2f}",
        _percent(frame["found"]["decoder"]),
        f"{_percent(frame['best'])} ({_strongest(frame)})",
    ]
    if person is None:
        cells += ["", "", ""]
    else:
        strongest = f"{_percent(person['best'])} ({_strongest(person)})"
        cells += [_percent(person["found"]["decoder"]), strongest, _percent(person["chance"])]
    wrong = weights["weight_error"]
    cells += [
        f"{weights['feature_error']:.1%} ({weights['method']})",
        "" if wrong is None else f"{wrong:.1%}",
        f"{weights['pairs']:,}",
        f"{dependence['correlation']:.2f} ({dependence['shuffled']:.2f})",
    ]
    return cells


def _strongest(figures: dict[str, Any]) -> str:
    found: dict[str, float] = figures["found"]
    return max(found, key=lambda name: found[name])


def _percent(share: float) -> str:
    return f"{share:.0%}"


def document(results: dict[str, Any], note: str) -> str:
    """What stands between the marks of docs/leak.md."""
    some = next(iter(results.values()))
    reports = [found for each in results.values() for found in each["figures"].values() if "decoder" in found]
    trained = ("decoder", "embedding", "weight_recovery")
    seconds = [sum(found[step]["cpu_seconds"] for step in trained) for found in reports]
    parts = [
        f"{some['measured'].removesuffix('.')}, `python {SCRIPT} --write`: budget in the table; training took"
        f" {min(seconds):.0f} to {max(seconds):.0f} s of one processor.{f' {note}' if note else ''}",
        "",
        table(results),
    ]
    if REFERENCE in results:
        figures = results[REFERENCE]["figures"]
        quarter = figures[REFERENCE]["downsampled"]
        found, tone = figures[REFERENCE]["frame_retrieval"]["found"], figures[REFERENCE]["with_tone"]
        parts += [
            "",
            "How strong the decoder is: behind one block (eight random zero-mean 3x3 filters, square, 4x4"
            " average) on frames that are normalised one by one instead of high-passed, brightness and"
            f" contrast being given back, it reaches {tone['picture_psnr']:.1f} dB, a similarity of"
            f" {tone['picture_ssim']:.2f} and {_percent(found['decoder'])} of frames."
            f" Pictures that went through a quarter of their size are at {quarter:.1f} dB.",
        ]
    return "\n".join(parts)


def ship(seconds: float) -> None:
    """Attacks the demo's private part and puts the figures beside the weights."""
    data = face_data()
    private = behind_cut(create(PICTURED), data.attacked.inputs, PRIVATE_BLOCKS)
    summary = measure(private, data, seconds, cut=str(PRIVATE_BLOCKS)).summary()
    ship_figures(summary)
    print("\n".join(summary.lines()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, help="for each cut, instead of those of the tables")
    parser.add_argument("--only", choices=[*CUTS, REFERENCE], action="append")
    parser.add_argument("--results", type=Path, help="a folder: what lies there is not measured again")
    parser.add_argument("--note", default="", help="a sentence about the machine for the document")
    parser.add_argument("--write", action="store_true", help="change docs/leak.md and docs/leak.png")
    parser.add_argument("--ship", action="store_true", help="write the figures of the demo's cut, no more")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write replaces the whole table: leave out --only, or measure into --results before")
    torch.set_num_threads(1)
    if options.ship:
        ship(options.budget or DEFAULT_SECONDS)
        return
    results = {}
    for name in options.only or [*CUTS, REFERENCE]:
        of_digits = name not in (PICTURED, REFERENCE)
        seconds = options.budget or (DIGIT_SECONDS if of_digits else DEFAULT_SECONDS)
        results[name], picture = measured(name, seconds, options.results)
        if options.write and name == PICTURED:
            PICTURE.write_bytes(picture)
    text = document(results, options.note)
    print(text)
    if options.write:
        replace_measured(DOCUMENT, SCRIPT, text)


if __name__ == "__main__":
    main()
