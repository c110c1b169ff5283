"""What cuts of our networks cost and give away: the tables of docs/plan.md, and docs/plan.svg.

    python benchmarks/plan.py [--budget SECONDS] [--only NAME] [--results FOLDER] [--note TEXT] [--write]

Plans the shipped detector as it is; LeNet-5 and a network of ten layers (benchmarks/ten_layers.py), which is
trained first, as if activations before a cut were polynomials of degree two. `--results` keeps what was
measured in a folder, or takes it from there. `--note` says what else is to be said of the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ten_layers import NAME as TEN_LAYERS
from ten_layers import ten_layers
from torch import nn

from pvcnn.bench.documents import markdown_table, measured_here, replace_measured
from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND
from pvcnn.leak.data import LeakData, digit_data, face_data
from pvcnn.models.catalogue import create, frames
from pvcnn.planning.cuts import DEFAULT_BUDGET, Settings, plan_cuts
from pvcnn.planning.limits import merged
from pvcnn.planning.picture import draw

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "plan.md"
PICTURE = ROOT / "docs" / "plan.svg"
SCRIPT = "benchmarks/plan.py"
#: The network of docs/plan.svg.
PICTURED = "deepfake"


@dataclass(frozen=True)
class Network:
    """`calibrated_as`: a network of the catalogue, whose frames it takes; `polynomials`: their degree.

    `budget`: the attackers' seconds for each of its cuts.
    """

    title: str
    make: Callable[[], nn.Module]
    calibrated_as: str
    frames: int
    data: Callable[[], LeakData]
    polynomials: int | None = None
    pixel_bound: float | None = None
    budget: float = DEFAULT_BUDGET


NETWORKS = {
    "deepfake": Network(
        "The demo's deepfake detector",
        lambda: create("deepfake"),
        "deepfake",
        CALIBRATION_FRAMES,
        face_data,
        pixel_bound=PIXEL_BOUND,
    ),
    "lenet5": Network("LeNet-5", lambda: create("lenet5"), "lenet5", 64, digit_data, 2),
    TEN_LAYERS: Network(
        "Eight convolutions, two linear layers", ten_layers, "lenet5", 64, digit_data, 2, budget=5.0
    ),
}


def planned(name: str, budget: float) -> tuple[dict[str, Any], bytes]:
    """The plan of one network with date and machine, processor and wall seconds, and its picture."""
    network = NETWORKS[name]
    made, data = network.make(), network.data()
    calibration = frames(network.calibrated_as, network.frames)
    start, wall = time.process_time(), time.perf_counter()
    plan = plan_cuts(
        made,
        calibration,
        data,
        Settings(polynomials=network.polynomials, budget=budget),
        name=name,
        pixel_bound=network.pixel_bound,
        progress=lambda *step: print(name, *step, file=sys.stderr, flush=True),
    )
    found = {
        "measured": measured_here(),
        "processor_seconds": time.process_time() - start,
        "wall_seconds": time.perf_counter() - wall,
        **plan.to_dict(),
    }
    return found, draw(plan)


def kept(name: str, budget: float, folder: Path | None) -> tuple[dict[str, Any], bytes]:
    """Out of `folder` if it is there; else it is put there."""
    path = folder / f"{name}.json" if folder else None
    if path is not None and path.exists():
        return json.loads(path.read_text()), path.with_suffix(".svg").read_bytes()
    found, picture = planned(name, budget)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1))
        path.with_suffix(".svg").write_bytes(picture)
    return found, picture


def table(found: dict[str, Any]) -> str:
    """A row for each cut that fits and for cut 0, then the reasons of the others."""
    columns = (
        *("cut", "behind", "features", "features / pixels", "encrypted: predicted", "measured"),
        *("keys", "up", "down", "error, steps", "room, bits", "constraints", "proof"),
        *("frame: decoder", "strongest", "person or class: decoder", "strongest", "chance"),
    )
    rows = [_row(cut) for cut in found["cuts"] if not cut["refused"]]
    reasons = [(cut["cut"], cut["refused"]) for cut in found["cuts"]]
    said = (f"- `{cuts}`: {reason}." for cuts, reason in merged(reasons) if reason)
    return "\n".join([markdown_table(columns, rows, left=2), "", *said])


def _row(cut: dict[str, Any]) -> list[str]:
    cost, public, leak = cut["encrypted"], cut["public"], cut["leak"]
    cells = [
        cut["cut"],
        f"`{cut['layer']}`" if cut["layer"] else "the frames",
        "x".join(map(str, cut["feature_shape"])),
        f"{cut['features_over_pixels']:.3f}",
    ]
    if cost is None:
        cells += [""] * 7
    else:
        found = cost["measured"]
        cells += [
            f"{cost['seconds']:.2f} s",
            "" if found is None else f"{found['evaluate_seconds']:.2f} s",
            f"{cost['evaluation_keys'] / 1e6:.0f} MB",
            f"{cost['upload'] / 1e3:.0f} kB",
            f"{cost['download'] / 1e3:.0f} kB",
            f"{(found or cost)['error_steps']:.3f}",
            f"{cost['headroom_bits']}{'' if cost['proved'] else '*'}",
        ]
    cells += [f"{public['constraints']:,}", f"{public['prove_seconds']:.2f} s"]
    people = None if leak is None else leak["person_retrieval"]
    cells += (
        ["", ""] if leak is None else [f"{leak['frame_retrieval'][by]:.0%}" for by in ("decoder", "best")]
    )
    cells += ["", "", ""] if people is None else [f"{people[by]:.0%}" for by in ("decoder", "best", "chance")]
    return cells


def document(results: dict[str, Any], note: str) -> str:
    """What stands between the marks of docs/plan.md."""
    parts: list[str] = []
    for name, found in results.items():
        degree = found["polynomials"]
        counted = "" if degree is None else f", activations before a cut counted as degree {degree}"
        minutes = [found[seconds] / 60 for seconds in ("processor_seconds", "wall_seconds")]
        parts += [
            f"**{NETWORKS[name].title}** (`{name}`{counted}). {found['measured'].removesuffix('.')}: "
            f"{minutes[0]:.1f} minutes of one processor, {minutes[1]:.1f} by the clock; budget"
            f" {found['budget_seconds']:g} s a cut.{f' {note}' if note else ''}",
            "",
            table(found),
            "",
        ]
    return "\n".join(parts[:-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, help="for each cut, instead of those of the tables")
    parser.add_argument("--only", choices=[*NETWORKS], action="append")
    parser.add_argument("--results", type=Path, help="a folder: what lies there is not measured again")
    parser.add_argument("--note", default="", help="a sentence about the machine for the document")
    parser.add_argument("--write", action="store_true", help="change docs/plan.md and docs/plan.svg")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write replaces all tables: leave out --only, or measure into --results before")
    torch.set_num_threads(1)
    results = {}
    for name in options.only or NETWORKS:
        budget = NETWORKS[name].budget if options.budget is None else options.budget
        results[name], picture = kept(name, budget, options.results)
        if options.write and name == PICTURED:
            PICTURE.write_bytes(picture)
    text = document(results, options.note)
    print(text)
    if options.write:
        replace_measured(DOCUMENT, SCRIPT, text)


if __name__ == "__main__":
    main()
