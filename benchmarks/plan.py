"""What cuts of our networks cost and give away: the tables of docs/plan.md, and docs/plan.svg.

    python benchmarks/plan.py [--budget SECONDS] [--only NAME] [--results FOLDER] [--write]

Plans the shipped detector as it is, and LeNet-5, pvCNN's own order of layers and VGG-11 as if activations
before a cut were polynomials of degree two. `--results` keeps what was measured in a folder, or takes it from
there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from pvcnn.bench.measure import machine
from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND
from pvcnn.leak.data import data_for
from pvcnn.models.catalogue import CATALOGUE, create, frames
from pvcnn.planning.cuts import DEFAULT_BUDGET, Settings, plan_cuts
from pvcnn.planning.limits import merged
from pvcnn.planning.picture import draw

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "plan.md"
PICTURE = ROOT / "docs" / "plan.svg"
BEGIN, END = "<!-- benchmarks/plan.py writes from here -->", "<!-- to here -->"
#: Networks, and the degree of polynomials in place of their activations.
NETWORKS: dict[str, int | None] = {"deepfake": None, "lenet5": 2, "article": 2, "vgg11": 2}
#: The network of docs/plan.svg.
PICTURED = "deepfake"


def planned(name: str, budget: float) -> tuple[dict[str, Any], bytes]:
    """The plan of one network with date, machine and wall seconds, and its picture."""
    is_detector = name == "deepfake"
    calibration = frames(name, CALIBRATION_FRAMES if is_detector else 64)
    start = time.perf_counter()
    plan = plan_cuts(
        create(name),
        calibration,
        data_for(name, CATALOGUE[name].input_shape),
        Settings(polynomials=NETWORKS[name], budget=budget),
        name=name,
        pixel_bound=PIXEL_BOUND if is_detector else None,
        progress=lambda *step: print(name, *step, file=sys.stderr, flush=True),
    )
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "seconds": time.perf_counter() - start,
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
    alignment = ["---"] * 2 + ["---:"] * (len(columns) - 2)
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, alignment)]
    lines += [_row(cut) for cut in found["cuts"] if not cut["refused"]]
    reasons = [(cut["cut"], cut["refused"]) for cut in found["cuts"]]
    lines += ["", *(f"- `{cuts}`: {reason}." for cuts, reason in merged(reasons) if reason)]
    return "\n".join(lines)


def _row(cut: dict[str, Any]) -> str:
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
    return "| " + " | ".join(cells) + " |"


def document(results: dict[str, Any]) -> str:
    """What stands between the markers of docs/plan.md."""
    parts = [BEGIN]
    for name, found in results.items():
        degree = found["polynomials"]
        counted = "" if degree is None else f", activations before a cut counted as degree {degree}"
        parts += [
            "",
            f"{CATALOGUE[name].description.capitalize()} (`{name}`{counted}): {found['date']},"
            f" {found['machine']}, {found['seconds'] / 60:.1f} minutes, budget {found['budget_seconds']:g} s"
            " a cut.",
            "",
            table(found),
        ]
    return "\n".join([*parts, "", END])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, default=DEFAULT_BUDGET)
    parser.add_argument("--only", choices=[*NETWORKS], action="append")
    parser.add_argument("--results", type=Path, help="a folder: what lies there is not measured again")
    parser.add_argument("--write", action="store_true", help="change docs/plan.md and docs/plan.svg")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name in options.only or NETWORKS:
        results[name], picture = kept(name, options.budget, options.results)
        if options.write and name == PICTURED:
            PICTURE.write_bytes(picture)
    text = document(results)
    print(text)
    if options.write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(before + text + rest.partition(END)[2])


if __name__ == "__main__":
    main()
