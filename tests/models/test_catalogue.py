"""The networks: shapes, figures in their docstrings, seeds, and activations that are alive."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from pvcnn.data.smooth import smooth_frames
from pvcnn.models.catalogue import CATALOGUE, create, frames

by_name = pytest.mark.parametrize("name", CATALOGUE)
by_seeded_name = pytest.mark.parametrize(
    "name", [name for name, entry in CATALOGUE.items() if not entry.trained]
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def created(name: str) -> nn.Module:
    """One of each is enough for tests that leave it as it is."""
    return create(name, seed=1)


def multiplications(model: nn.Module, frame: Tensor) -> int:
    """Products of weights and values in convolutions and linear layers, padding included."""
    counted: list[int] = []

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        counted.append(module.weight[0].numel() * output.numel())

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(frame)
    return sum(counted)


@by_name
def test_docstrings_name_source_parameters_and_multiplications(name: str) -> None:
    entry = CATALOGUE[name]
    model = entry.constructor().eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    products = multiplications(model, torch.zeros(1, *entry.input_shape))
    own = str(entry.constructor.__doc__)
    module = str(__import__(entry.constructor.__module__, fromlist=["__doc__"]).__doc__)
    assert f"{parameters:,} parameters, {products:,} multiplications a frame" in own
    assert re.search(r"arXiv\s+\d{4}\.\d{4,5}|NIPS 2012|Proceedings of the IEEE", own + module)


@by_name
def test_the_documented_table_has_it(name: str) -> None:
    entry = CATALOGUE[name]
    figures = re.findall(r"[\d,]{4,}", str(entry.constructor.__doc__).splitlines()[-2])
    shape = "x".join(map(str, entry.input_shape))
    row = f"| `{name}` | {entry.description} | {shape} | {entry.outputs} | {figures[0]} | {figures[1]} |"
    assert row in (Path(__file__).parents[2] / "docs" / "models.md").read_text()


@by_name
def test_decisions_depend_on_the_frame(name: str) -> None:
    entry = CATALOGUE[name]
    model = created(name)
    assert not any(module.training for module in model.modules())
    with torch.no_grad():
        logits = model(frames(name, 48, seed=2))
    assert logits.shape == (48, entry.outputs)
    assert bool(torch.isfinite(logits).all())
    decisions = logits.argmax(1) if entry.outputs > 1 else (logits[:, 0] > 0).long()
    shares = torch.bincount(decisions) / 48
    assert len(decisions.unique()) >= min(entry.outputs, 5) or entry.outputs == 1
    assert shares.max() < 0.85


@by_name
def test_torch_fx_traces_it(name: str) -> None:
    entry = CATALOGUE[name]
    model = entry.constructor().eval()
    traced = fx.symbolic_trace(model)
    frame = torch.zeros(1, *entry.input_shape)
    with torch.no_grad():
        assert torch.equal(traced(frame), model(frame))


@pytest.mark.parametrize("name", ["article", "alexnet", "inception", "xception"])
def test_the_seed_decides_and_nothing_else_does(name: str) -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = create(name, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    again = create(name, seed=3).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    other = create(name, seed=4).state_dict()
    assert not all(torch.equal(value, other[key]) for key, value in first.items())


@by_seeded_name
def test_activations_are_neither_dead_nor_huge(name: str) -> None:
    """Behind every activation values vary, most are not 0, and none is out of proportion."""
    model = created(name)
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: seen.append(output))
        for module in model.modules()
        if isinstance(module, nn.ReLU | nn.ReLU6 | nn.LeakyReLU)
    ]
    with torch.no_grad():
        model(frames(name, 16, seed=2))
    for hook in hooks:
        hook.remove()
    assert seen
    for output in seen:
        assert 0.01 < output.std() < 20
        assert output.abs().max() < 100
        assert 0.1 < (output > 0).float().mean() < 0.97


def test_the_article_has_batch_norm_behind_the_activation() -> None:
    modules = [type(module) for module in create("article").modules() if not list(module.children())]
    assert modules[4:8] == [nn.Conv2d, nn.LeakyReLU, nn.BatchNorm2d, nn.MaxPool2d]
    channels = [
        module.out_channels for module in create("article").modules() if isinstance(module, nn.Conv2d)
    ]
    assert channels == [8, 16, 32, 64]


def test_smooth_frames_are_smooth_bounded_and_seeded() -> None:
    drawn = smooth_frames(20, (3, 32, 32), seed=1)
    assert drawn.shape == (20, 3, 32, 32)
    assert 0.5 < np.abs(drawn).max() <= 1
    assert drawn.std((1, 2, 3)).min() > 0.05
    neighbours = np.abs(np.diff(drawn, axis=3)).mean()
    strangers = np.abs(drawn - np.roll(drawn, 16, axis=3)).mean()
    assert neighbours < 0.6 * strangers
    assert np.array_equal(drawn, smooth_frames(20, (3, 32, 32), seed=1))
    assert not np.array_equal(drawn, smooth_frames(20, (3, 32, 32), seed=2))


def test_unknown_names_and_too_many_digits_are_refused() -> None:
    with pytest.raises(ValueError, match="choose one of deepfake, article, lenet5"):
        create("lenet")
    with pytest.raises(ValueError, match="choose one of"):
        frames("lenet", 1)
    with pytest.raises(ValueError, match="1437 digits"):
        frames("lenet5", 1438)
