"""Features that hide nothing are found out, features that say nothing are at chance."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

from pvcnn.leak.data import Frames, LeakData
from pvcnn.leak.decoding import reconstruct
from pvcnn.leak.dependence import SHUFFLES, distance_correlation
from pvcnn.leak.measure import STAGES, measure
from pvcnn.leak.private import behind_cut, of_function, of_split, rounded
from pvcnn.leak.report import LeakReport
from pvcnn.leak.retrieval import find_frames, find_people
from pvcnn.leak.summary import LeakSummary
from pvcnn.models.layers import Square
from pvcnn.partition.split import split
from tests.leak.synthetic import SHAPE, data

DATA = data()
SECONDS = 1.0


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def noise(frames: Tensor) -> Tensor:
    """Nothing about the frames."""
    generator = torch.Generator().manual_seed(len(frames))
    return torch.randn(len(frames), 4, 4, 4, generator=generator)


@pytest.fixture(scope="module")
def of_identity() -> LeakReport:
    torch.set_num_threads(1)
    return measure(nn.Identity(), DATA, 2 * SECONDS)


@pytest.fixture(scope="module")
def of_noise() -> LeakReport:
    torch.set_num_threads(1)
    return measure(of_function(noise), DATA, SECONDS)


def test_features_that_are_frames_are_wholly_leaked(of_identity: LeakReport) -> None:
    figures = of_identity
    assert figures.frames.best == 1.0
    assert figures.frames.found["decoder"] > 0.9
    assert figures.people is not None
    assert figures.people.best > 0.9
    assert float(figures.decoder.similarity.mean()) > 0.8
    assert figures.dependence.correlation > 0.99
    assert figures.weights.feature_error < 0.01
    text = " ".join(figures.summary().warnings())
    assert "does not hide identity from the cluster" in text
    assert "recovers what the private part computes" in text


def test_noise_is_at_chance(of_noise: LeakReport) -> None:
    figures = of_noise
    trials = figures.frames.candidates
    assert figures.frames.best < figures.frames.chance + 4 / trials
    assert figures.people is not None
    assert figures.people.best < figures.people.chance + 4 * math.sqrt(figures.people.chance / trials)
    assert float(figures.decoder.decibels.mean()) < figures.decoder.baseline + 0.5
    assert figures.weights.imitation is None
    assert abs(figures.dependence.correlation - figures.dependence.shuffled) < 0.1
    assert figures.dependence.exceeded > 0
    assert figures.blind.reason
    assert figures.summary().warnings()[0].startswith("privacy against the cluster: not proved")


def test_the_report_is_json_and_fits_its_summary(of_identity: LeakReport) -> None:
    report = of_identity.to_dict()
    assert json.loads(json.dumps(report)) == report
    summary = of_identity.summary()
    assert LeakSummary.from_bytes(summary.to_bytes()) == summary
    assert not summary.mismatch(SHAPE, SHAPE)
    assert summary.frames_by_best == 1000
    assert report["warnings"] == summary.warnings()


def test_a_seed_gives_the_same_report() -> None:
    torch.manual_seed(2)
    weights = nn.Conv2d(1, 2, 4, stride=4).eval()
    reports = [measure(weights, DATA, 0.1, seed=7).to_dict() for _ in range(2)]
    for report in reports:
        for timed in ("decoder", "embedding", "weight_recovery"):
            report[timed].pop("cpu_seconds")
    assert reports[0] == reports[1]


def test_stages_are_told_and_budgets_checked() -> None:
    told: list[str] = []
    measure(of_function(noise), DATA, 0.05, progress=told.append)
    assert tuple(told) == STAGES
    for seconds in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="budget"):
            measure(of_function(noise), DATA, seconds)
    with pytest.raises(ValueError, match="finite"):
        measure(of_function(lambda frames: frames / 0), DATA, 0.05)


def test_a_split_model_is_attacked_through_its_integers() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), Square(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32, 2)
    ).eval()
    part = split(model, DATA.train.inputs.numpy())
    report = measure(part, DATA, 0.05)
    assert report.feature_shape == (2, 4, 4) == part.private.output_shape
    by_cut = behind_cut(model, DATA.attacked.inputs, 1)
    assert by_cut.description == "Conv2d 1-2 3x3, Square, AveragePool 4x4"
    integers = torch.from_numpy(part.features(DATA.attacked.inputs)).clamp_min(1)
    ratio = by_cut.features(DATA.attacked.inputs) / integers
    assert float(ratio.median()) == pytest.approx(part.feature_scale.step, rel=0.02)
    assert report.weights.method == "none: the layers are not known"
    known = measure(of_split(part, by_cut.layers), DATA, 0.05)
    assert known.weights.method == "quadratic system"
    assert known.weights.feature_error < 0.05


@pytest.mark.parametrize("shape", [(3,), (2, 5, 7), (6, 1, 1), (2, 33, 33), (1, 2, 2)])
def test_features_of_any_shape_are_decoded(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(math.prod(SHAPE), math.prod(shape), generator=torch.Generator().manual_seed(0))
    features, seen = (
        (frames.inputs.flatten(1) @ matrix).reshape(-1, *shape) for frames in (DATA.train, DATA.attacked)
    )
    found = reconstruct(DATA.train, features, DATA.attacked, seen, 0.02, 0)
    assert found.pictures.shape == DATA.attacked.pictures.shape
    frames, _ = find_frames(DATA.train, features, DATA.attacked, seen, found, None, 0.02, 0)
    assert frames.candidates == len(DATA.attacked)
    assert find_people(DATA.train, features, DATA.attacked, seen, found) is not None


def test_nobody_is_looked_for_where_nobody_is_shown() -> None:
    alone = torch.arange(len(DATA.attacked))
    strangers = Frames(DATA.attacked.inputs, DATA.attacked.pictures, alone, alone + 10_000)
    nobody = LeakData("strangers", "", DATA.train, strangers)
    report = measure(of_function(noise), nobody, 0.05)
    assert report.people is None
    assert report.summary().people is None
    features = noise(strangers.inputs)
    assert find_people(DATA.train, noise(DATA.train.inputs), strangers, features, report.decoder) is None


def test_sides_must_not_share_a_source() -> None:
    with pytest.raises(ValueError, match="both sides"):
        LeakData("x", "person", DATA.train, DATA.train)


def test_rounding_keeps_twelve_bits() -> None:
    values = torch.linspace(0, 1, 10_001)
    coarse = rounded(values, values)
    assert len(set(coarse.tolist())) == 2049
    assert float((coarse - values).abs().max()) <= 1 / 4096
    assert len(set(rounded(values - 0.5, values - 0.5).tolist())) == 2049


def test_distance_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(100, 3, generator=generator), torch.randn(100, 3, generator=generator)
    same = distance_correlation(x, 2 * x, 0)
    assert same.correlation == pytest.approx(1)
    assert same.exceeded == 0
    squared = distance_correlation(x, x**2, 0)
    assert squared.correlation > squared.shuffled + 0.1
    assert squared.exceeded == 0
    other = distance_correlation(x, y, 0)
    assert 5 < other.exceeded < SHUFFLES
    assert distance_correlation(x, torch.ones(100, 1), 0).correlation == 0
