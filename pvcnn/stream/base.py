"""What all segments of a stream share: one split, one set of keys, one setup, and the roles behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.cluster import make_keys
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.setup_party import run_setup
from pvcnn.campaign.roles.tester import TesterRole
from pvcnn.errors import CampaignError
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.private import PrivatePart
from pvcnn.program.public_part import PublicPart

BASE = "base"
SEGMENTS = "segments"
#: The one tester of a stream.
CAMERA = "camera"


@dataclass(frozen=True)
class StreamModel:
    """A network that was split, and how its frames are made.

    side      of the square that the private part takes, pixels
    prepare   from (side, side) uint8 to the private part's input, (channels, side, side) float64
    leak      what attacks on the private part found, if they were tried: goes into every manifest
    """

    private: PrivatePart
    public: PublicPart
    side: int
    prepare: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
    leak: LeakSummary | None = None


def shipped_model() -> StreamModel:
    """The detector of the demo. Raises DependencyMissing without torch or the faces it is calibrated with."""
    from pvcnn.data.frames import (
        CALIBRATION_FRAMES,
        FRAME_SHAPE,
        PIXEL_BOUND,
        calibration_frames,
        prepare,
    )
    from pvcnn.leak.shipped import shipped_figures
    from pvcnn.models.deepfake import PRIVATE_BLOCKS
    from pvcnn.models.store import load_detector
    from pvcnn.partition.split import split

    frames = calibration_frames(CALIBRATION_FRAMES)
    parts = split(load_detector(), frames, PRIVATE_BLOCKS, pixel_bound=PIXEL_BOUND)
    return StreamModel(parts.private, parts.public, FRAME_SHAPE[0], prepare, shipped_figures())


@dataclass(frozen=True)
class Base:
    """The folder as `setup` leaves it, and those who act in each segment again.

    The fingerprints are what owner and cluster would tell the camera's operator out of band.
    """

    folder: CampaignFolder
    owner: OwnerRole
    camera: TesterRole
    owner_fingerprint: str
    cluster_fingerprint: str


def make_base(directory: Path, model: StreamModel, max_proofs: int) -> Base:
    """Plays `split`, `keygen` and `setup` in DIR/base. A registry is never closed there.

    Raises CampaignError if the folder is in use or the program takes labels, ParameterError if the private
    part cannot be encrypted.
    """
    if model.public.program.label_classes is not None:
        raise CampaignError("a stream has no labels, and this program reveals how many of them are decided")
    folder = CampaignFolder.create(directory / BASE)
    owner = OwnerRole.create(folder)
    owner.publish_split(model.private, model.public)
    card = make_keys(folder)
    run_setup(folder, max_proofs)
    owner.publish_manifest(cluster_fingerprint=card.fingerprint, leak=model.leak)
    camera = TesterRole.create(folder, CAMERA)
    return Base(folder, owner, camera, owner.fingerprint, card.fingerprint)
