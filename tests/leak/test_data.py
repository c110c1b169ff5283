"""Who is trained on and who is attacked, and how reconstructions are judged."""

from __future__ import annotations

import pytest
import torch

from pvcnn.data.splits import split_people
from pvcnn.leak import data
from pvcnn.leak.image_quality import MAX_DECIBELS, decibels, similarity


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(data, "TRAINING_CROPS", 1)
    monkeypatch.setattr(data, "ATTACKED_CROPS", 2)
    monkeypatch.setattr(data, "RANDOM_FRAMES", 20)
    monkeypatch.setattr(data, "ATTACKED", 10)


def test_attacked_people_are_those_whom_nothing_was_trained_on() -> None:
    faces = data.face_data()
    assert set(faces.attacked.identities.tolist()) == set(split_people().test)
    assert not set(faces.train.identities.tolist()) & set(split_people().test)
    assert faces.train.inputs.shape == (320, 1, 64, 64)
    assert faces.attacked.pictures.shape == (160, 1, 64, 64)
    assert float(faces.attacked.inputs.abs().max()) <= 1
    assert 0 <= float(faces.attacked.pictures.min()) <= float(faces.attacked.pictures.max()) <= 1
    assert torch.equal(faces.attacked.sources // 10, faces.attacked.identities)
    assert torch.equal(faces.attacked.inputs, data.face_data().attacked.inputs)
    assert not torch.equal(faces.attacked.inputs, data.face_data(5).attacked.inputs)


def test_frames_are_chosen_by_what_a_network_takes() -> None:
    assert data.data_for("deepfake", (1, 64, 64)).identity == "person"
    digits = data.data_for("lenet5", (1, 32, 32))
    assert digits.identity == "class"
    assert len(digits.attacked) == 10
    random = data.data_for("vgg11", (3, 32, 32))
    assert random.identity == ""
    assert (len(random.train), tuple(random.attacked.inputs.shape)) == (20, (10, 3, 32, 32))


def test_quality_of_reconstructions() -> None:
    pictures = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert decibels(pictures, pictures).tolist() == [MAX_DECIBELS] * 3
    assert decibels(pictures * 0, pictures * 0 + 0.1) == pytest.approx([20.0] * 3, abs=1e-3)
    assert similarity(pictures, pictures) == pytest.approx([1.0] * 3, abs=1e-4)
    assert float(similarity(1 - pictures, pictures).max()) < 0
    noisy = pictures + 0.05 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    assert bool((similarity(noisy, pictures) > similarity(pictures.mean() + 0 * pictures, pictures)).all())


def test_flat_pictures_compare_by_luminance() -> None:
    """Of constants a and b the index is (2ab + c) / (a^2 + b^2 + c)."""
    a, b, c = 0.2, 0.6, 0.01**2
    found = similarity(torch.full((1, 1, 16, 16), a), torch.full((1, 1, 16, 16), b))
    assert float(found) == pytest.approx((2 * a * b + c) / (a**2 + b**2 + c), rel=1e-3)
