"""Frames as testers hold them (64x64 bytes), and as the detector takes them (normalised)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvcnn.data.faces import load_faces
from pvcnn.data.splits import split_people
from pvcnn.errors import DependencyMissing

if TYPE_CHECKING:
    from pvcnn.data.fakes import Batch, FrameMaker

FRAME_SHAPE = (64, 64)
#: How many frames the demo's quantiser sees.
CALIBRATION_FRAMES = 256
#: Prepared pixels lie in [-PIXEL_BOUND, PIXEL_BOUND]; encryption parameters are planned for it.
PIXEL_BOUND = 1.0
#: The local mean that `prepare` subtracts: a Gaussian of so many pixels, cut off at REACH.
BLUR, REACH = 2.0, 5
#: Detail of this size, in root mean squares of the frame's detail, is where tanh begins to flatten.
FLATTENING = 0.7
#: Detail below half a grey level is what rounding to bytes makes: it must not be blown up.
LEAST_DETAIL = 0.5

#: A frame (64, 64) uint8, its label (0 real, 1 fake) and the person it shows (0..39).
LabelledFrame: TypeAlias = tuple[NDArray[np.uint8], int, int]


def prepare(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(..., 64, 64) uint8 to (..., 1, 64, 64) float64: fine detail, in [-PIXEL_BOUND, PIXEL_BOUND].

    With detail = pixel - local mean: tanh(detail / (FLATTENING * root mean square of the detail)). A
    blend shows in fine detail; the tanh keeps strong edges from drowning it, which also keeps features
    small enough to encrypt and quantise well. A frame of one colour becomes 0. Raises ValueError for
    anything but 64x64 bytes.
    """
    if frames.shape[-2:] != FRAME_SHAPE or frames.dtype != np.uint8:
        raise ValueError(f"a frame is 64x64 of uint8, not {frames.shape} of {frames.dtype}")
    pixels = frames.astype(np.float64)
    detail = pixels - _SMOOTH @ pixels @ _SMOOTH.T
    typical = np.sqrt(np.mean(detail**2, (-2, -1), keepdims=True))
    scale = FLATTENING * np.maximum(typical, LEAST_DETAIL)
    prepared: NDArray[np.float64] = np.tanh(detail / scale)[..., None, :, :]
    return prepared


def _smoothing(side: int) -> NDArray[np.float64]:
    """(side, side): times a column of pixels, its local means; mirrored at both ends."""
    matrix: NDArray[np.float64] = np.zeros((side, side))
    for offset in range(-REACH, REACH + 1):
        rows = np.arange(side)
        columns = np.abs(rows + offset)
        columns = np.where(columns < side, columns, 2 * (side - 1) - columns)
        matrix[rows, columns] += math.exp(-0.5 * (offset / BLUR) ** 2)
    matrix /= matrix.sum(1, keepdims=True)
    return matrix


_SMOOTH = _smoothing(FRAME_SHAPE[0])


def demo_frames(testers: int, frames: int, seed: int) -> list[list[LabelledFrame]]:
    """`frames` labelled frames for each of `testers`, from people the detector has never seen.

    Every frame comes from an image of its own, over all testers; half of all (rounded down) are
    fakes, as many swaps as self-blends. The same seed deals the same frames. Raises
    ValueError for more frames than there are images (80), DependencyMissing without torch or faces.
    """
    maker = _maker(split_people().test)
    count = testers * frames
    if testers < 1 or frames < 1 or count > len(maker):
        raise ValueError(
            f"the {len(maker)} images of the test people give each of {testers} testers"
            f" at most {len(maker) // max(testers, 1)} frames, not {frames}; at least one of each is needed"
        )
    batch = _mixed(maker, count, seed)
    dealt = [
        (frame, int(label), int(person))
        for frame, label, person in zip(
            batch.frames.numpy(), batch.labels.tolist(), batch.people.tolist(), strict=True
        )
    ]
    return [dealt[tester * frames : (tester + 1) * frames] for tester in range(testers)]


def calibration_frames(count: int, seed: int = 0) -> NDArray[np.float64]:
    """(count, 1, 64, 64) prepared frames of training people, half fake, a quarter of all degraded.

    For whoever must know which values occur, such as a quantiser. DependencyMissing as above.
    """
    maker = _maker(split_people().train)
    degraded = count // 4
    groups = [(start, False) for start in range(0, count - degraded, len(maker))]
    groups += [(start, True) for start in range(count - degraded, count, len(maker))]
    ends = [start for start, _ in groups[1:]] + [count]
    frames = [
        _mixed(maker, end - start, seed + start, hard=hard).frames.numpy()
        for (start, hard), end in zip(groups, ends, strict=True)
    ]
    return prepare(np.concatenate(frames))


def _maker(people: tuple[int, ...]) -> FrameMaker:
    try:
        from pvcnn.data.fakes import FrameMaker
    except ImportError as error:
        raise DependencyMissing("fakes are made with torch: pip install 'pvcnn[demo]'") from error
    return FrameMaker(load_faces(), people)


def _mixed(maker: FrameMaker, count: int, seed: int, *, hard: bool = False) -> Batch:
    """Frames from `count` different images; each pair of neighbours is a real and a fake, in any order."""
    import torch

    from pvcnn.data.fakes import Kind

    generator = torch.Generator().manual_seed(seed)
    pairs = (count + 1) // 2
    fakes = torch.tensor([Kind.SWAP, Kind.SELF_BLEND]).repeat((pairs + 1) // 2)[:pairs]
    couples = torch.stack((torch.full_like(fakes, Kind.REAL), fakes), 1)
    turned = torch.rand(pairs, generator=generator) < 0.5
    kinds = torch.where(turned[:, None], couples.flip(1), couples).flatten()[:count]
    sources = torch.randperm(len(maker), generator=generator)[:count]
    return maker.make(sources, kinds, generator, hard=hard)
