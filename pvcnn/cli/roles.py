"""One thin command for each role's step on a campaign folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from pvcnn.cli.cut_claims import print_claims
from pvcnn.cli.cut_limits import AUTO, check_limits, chosen_cut, cut_limit_options
from pvcnn.cli.inputs import load_model, read_array
from pvcnn.cli.options import (
    directory_argument,
    json_option,
    reveal_option,
    usage_errors,
    use_one_torch_thread,
    weights_option,
)
from pvcnn.cli.output import done, notes, print_json
from pvcnn.cli.progress import StepProgress
from pvcnn.planning.limits import Limits

#: `--demo-frame` numbers one frame of each of the test people's images.
DEMO_FRAMES = 80
_DETECTOR = "pvcnn.models.store:load_detector"
#: Of the demo's detector, as pvcnn.models.deepfake has it, which needs torch.
PRIVATE_BLOCKS = 3


@click.command("split")
@directory_argument
@click.option(
    "--model",
    default=_DETECTOR,
    show_default=True,
    metavar="MODULE:FUNCTION|FILE.onnx",
    help="A function without arguments that returns the torch module to split, or an ONNX model.",
)
@click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npy",
    help="Prepared frames, float (N, channels, height, width); by default the demo's training people.",
)
@click.option(
    "--cut",
    default=None,
    show_default=f"{PRIVATE_BLOCKS} for the demo's detector, else 1",
    metavar="BLOCKS|LAYER|auto",
    help="How many blocks stay private, or the name of the layer or module behind which to cut; "
    "auto: the cheapest that keeps to the limits.",
)
@cut_limit_options
@click.option(
    "--accept-leaky-cut",
    is_flag=True,
    help="Cut even where the private part hides nothing from the cluster; the manifest says so.",
)
@weights_option
@reveal_option
@click.option(
    "--frames-in-slots",
    type=click.IntRange(1, 1 << 14),
    metavar="K",
    help="Encrypt and evaluate up to K frames of a tester together, for testers with hundreds of them "
    "(docs/packings.md); by default each by itself.",
)
@json_option
def split_command(
    directory: Path,
    model: str,
    calibration: Path | None,
    cut: str | None,
    accept_leaky_cut: bool,
    weights: str,
    reveal: str,
    limits: Limits,
    attack_budget: float,
    frames_in_slots: int | None,
    as_json: bool,
) -> None:
    """OWNER: start a campaign in DIR, a new folder: cut and quantise the model."""
    from pvcnn.campaign.folder import CampaignFolder
    from pvcnn.campaign.owner import OwnerRole
    from pvcnn.data.frames import CALIBRATION_FRAMES, PIXEL_BOUND, calibration_frames
    from pvcnn.he.frame_slots.parameters import plan as plan_frames_in_slots
    from pvcnn.he.parameters import plan
    from pvcnn.partition.split import split

    use_one_torch_thread()
    check_limits(cut, limits)
    if cut == AUTO and frames_in_slots is not None:
        raise click.UsageError(
            "--cut auto measures frames that are encrypted one by one: name a cut for --frames-in-slots"
        )
    if cut is None:
        cut = str(PRIVATE_BLOCKS if model == _DETECTOR else 1)
    bound = None
    if calibration is None:
        frames, bound = calibration_frames(CALIBRATION_FRAMES), PIXEL_BOUND
    else:
        frames = read_array(calibration)
    network = load_model(model)
    place: int | str = int(cut) if cut.isdecimal() else cut
    if cut == AUTO:
        with usage_errors():
            place = chosen_cut(network, frames, limits, attack_budget, weights, reveal, bound)
    with notes.status("splitting, calibrating and quantising"):
        try:
            parts = split(
                network,
                frames,
                cut=place,
                weights=weights,
                reveal=reveal,
                pixel_bound=bound,
                accept_leaky_cut=accept_leaky_cut,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        # Before anything is written: a part that does not fit leaves no folder behind.
        if frames_in_slots is None:
            plan(parts.private)
        else:
            plan_frames_in_slots(parts.private, frames_in_slots)
        owner = OwnerRole.create(CampaignFolder.create(directory))
        owner.publish_split(parts.private, parts.public, parts.logit_scale, frames_in_slots)
    made = {"owner_fingerprint": owner.fingerprint, "program": parts.public.program.digest().hex()}
    if as_json:
        print_json({**made, "report": parts.report.to_dict()})
        return
    notes.print(str(parts.report), markup=False, highlight=False, soft_wrap=True)
    done(False, made)


@click.command("keygen")
@directory_argument
@json_option
def keygen_command(directory: Path, as_json: bool) -> None:
    """CLUSTER: make all keys and publish the cluster's card."""
    from pvcnn.campaign.cluster import make_keys
    from pvcnn.campaign.folder import CampaignFolder

    with notes.status("making keys"):
        card = make_keys(CampaignFolder(directory))
    notes.print("Give testers this fingerprint by another way than the campaign folder:")
    done(as_json, {"cluster_fingerprint": card.fingerprint})


@click.command("encrypt")
@directory_argument
@click.option("--tester", required=True, help="Your name in this folder: a-z, 0-9 and dashes.")
@click.option(
    "--frame",
    "frames",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A 64x64 image file, or a .npy of 64x64 bytes; once for each frame of the submission.",
)
@click.option(
    "--demo-frame",
    "demo_numbers",
    type=click.IntRange(0, DEMO_FRAMES - 1),
    multiple=True,
    help="Take a test person's frame instead.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="CLASS",
    help="What you know a frame to be, a class's name or number; once for each --frame, in the same order.",
)
@click.option(
    "--frames-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.npy",
    help="All frames in one file instead, bytes (N, 64, 64).",
)
@click.option(
    "--labels-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Their classes, one a line, with --frames-from.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Encrypting processes where frames lie in slots; by default one a processor, where that saves time.",
)
@click.option("--cluster-fingerprint", required=True, help="Obtained out of band: 64 hexadecimal digits.")
@click.option(
    "--owner-fingerprint",
    help="What `split` printed, obtained out of band: the frame is then sealed to no other owner.",
)
@json_option
def encrypt_command(
    directory: Path,
    tester: str,
    frames: tuple[Path, ...],
    demo_numbers: tuple[int, ...],
    labels: tuple[str, ...],
    frames_from: Path | None,
    labels_from: Path | None,
    workers: int | None,
    cluster_fingerprint: str,
    owner_fingerprint: str | None,
    as_json: bool,
) -> None:
    """TESTER: encrypt a submission's frames, seal them to the owner, register them.

    Give as many frames as `setup --batch` of the campaign says, all of them different; where `split
    --frames-in-slots` was chosen, those of any number of submissions at once, which saves most of the time.
    """
    from pvcnn.campaign.folder import CampaignFolder
    from pvcnn.campaign.identity import FILE_NAME
    from pvcnn.campaign.tester import TesterRole
    from pvcnn.data.frames import demo_frames, prepare

    if [bool(frames), bool(demo_numbers), frames_from is not None].count(True) != 1:
        raise click.UsageError(
            "give either --frame FILE with --label, or --demo-frame NUMBER, or --frames-from FILE.npy with "
            "--labels-from FILE"
        )
    if (frames_from is None) != (labels_from is None):
        raise click.UsageError("--frames-from and --labels-from go together")
    if frames_from is not None and labels_from is not None:
        pictures, labels = tuple(read_array(frames_from)), tuple(labels_from.read_text().split())
    elif demo_numbers:
        dealt = demo_frames(DEMO_FRAMES, 1, seed=0)
        pictures, truth = zip(*(dealt[number][0][:2] for number in demo_numbers), strict=True)
        labels = tuple(map(str, truth))
    elif len(frames) == len(labels):
        pictures = tuple(map(_read_frame, frames))
    else:
        raise click.UsageError(
            "each --frame needs a --label, such as real or fake: "
            f"there are {len(frames)} frames and {len(labels)} labels"
        )
    folder = CampaignFolder(directory)
    known = (folder.private_of_tester(tester) / FILE_NAME).exists()
    role = TesterRole.open(folder, tester) if known else TesterRole.create(folder, tester)
    claims = role.cut_claims()
    print_claims(claims, notes)
    with StepProgress({"encrypt": "encrypting"}) as progress, usage_errors():
        prepared = list(map(prepare, pictures))
        progress.begin("encrypt", len(pictures))
        registrations = role.encrypt_frames(
            prepared,
            role.read_labels(labels),
            cluster_fingerprint,
            owner_fingerprint,
            lambda done: progress.reach("encrypt", done),
            workers,
        )
    uploads = [registration.upload_digest.hex() for registration in registrations]
    made: dict[str, Any] = {"upload": uploads[0]} if len(uploads) == 1 else {"submissions": len(uploads)}
    made["tester_key"] = role.public_key.hex()
    done(as_json, {**made, "uploads": uploads, "cut": claims.to_json()} if as_json else made)


@click.command("open-labels")
@directory_argument
@click.option("--tester", required=True)
@json_option
def open_labels_command(directory: Path, tester: str, as_json: bool) -> None:
    """TESTER: publish the labels of your submissions, once the aggregate is there."""
    from pvcnn.campaign.folder import CampaignFolder
    from pvcnn.campaign.tester import TesterRole

    done(as_json, {"opened": TesterRole.open(CampaignFolder(directory), tester).open_labels()})


def _read_frame(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if path.suffix == ".npy":
        return read_array(path)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.array(image.convert("L"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise click.UsageError(f"{path}: not an image that Pillow reads") from error
