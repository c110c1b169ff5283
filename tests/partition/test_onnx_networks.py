"""Whole networks, exported by torch itself."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pvcnn.models.catalogue import create, frames
from pvcnn.partition.float_graph.graph import BatchNorm, FloatGraph
from pvcnn.partition.onnx_import.translate import load_onnx


def exported(
    model: nn.Module, batch: Tensor, path: Path, opset: int = 17, dynamic: bool = True
) -> FloatGraph:
    """What pvcnn reads from the file that torch writes, with a batch of any size if it is dynamic."""
    axes = {"x": [0]} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is the old one
        torch.onnx.export(
            model,
            (batch,),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            dynamic_axes=axes,
        )
    return load_onnx(path)


@pytest.mark.parametrize("name", ["deepfake", "article", "lenet5", "alexnet", "inception", "xception"])
def test_a_network_of_the_catalogue_computes_the_same(name: str, tmp_path: Path) -> None:
    model, batch = create(name, seed=1).double(), frames(name, 3, seed=2).double()
    graph = exported(model, batch, tmp_path / "m.onnx")
    assert graph.input_shape == tuple(batch.shape[1:])
    with torch.no_grad():
        assert torch.allclose(graph.output(batch), model(batch), rtol=1e-6, atol=1e-6)


class Gated(nn.Module):
    """Squeeze and excitation, clamps, a hard-swish, an explicit pad and means, as users write them."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.squeeze = nn.Conv2d(8, 2, 1)
        self.excite = nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.hardswish(self.norm(self.stem(self.pad((images - 0.5) / 0.25))))
        gate = torch.relu(self.squeeze(features.mean((2, 3), keepdim=True)))
        features = features * torch.sigmoid(self.excite(gate))
        features = nn.functional.silu(features) + torch.clamp(features, -1, 1)
        return torch.softmax(self.head(features.mean((2, 3))), dim=1)


@pytest.mark.parametrize("opset", [11, 13, 14, 18, 20])
def test_a_network_with_gates_at_every_opset(opset: int, tmp_path: Path) -> None:
    model, batch = Gated().double().eval(), torch.rand(4, 3, 12, 12, dtype=torch.float64)
    graph = exported(model, batch, tmp_path / "m.onnx", opset)
    with torch.no_grad():
        expected = model(batch)
    assert torch.allclose(torch.softmax(graph.output(batch), dim=1), expected, rtol=1e-6)
    assert len(graph.notes) == 1


def test_batch_norm_that_the_exporter_keeps(tmp_path: Path) -> None:
    model, batch = create("densenet", seed=1).double(), frames("densenet", 2, seed=2).double()
    graph = exported(model, batch, tmp_path / "m.onnx")
    assert sum(isinstance(layer, BatchNorm) for layer in graph.layers) > 15
    with torch.no_grad():
        assert torch.allclose(graph.output(batch), model(batch), rtol=1e-6, atol=1e-6)


class Viewed(nn.Module):
    """Shapes from the tensor itself, as many models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 5 * 5, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.max_pool2d(torch.relu(self.stem(images)), 2)
        return torch.relu(self.head(features.view(features.size(0), -1))).reshape(images.shape[0], 3)


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("dynamic", [True, False])
def test_shapes_that_are_computed(opset: int, dynamic: bool, tmp_path: Path) -> None:
    model, batch = Viewed().double().eval(), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    graph = exported(model, batch, tmp_path / "m.onnx", opset, dynamic)
    with torch.no_grad():
        assert torch.allclose(graph.output(batch), model(batch), rtol=1e-6)


def test_without_onnx_the_remedy_is_named() -> None:
    code = "import sys; sys.modules['onnx'] = None; import pvcnn.partition.onnx_import.translate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'pvcnn[onnx]'" in done.stderr
