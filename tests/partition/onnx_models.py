"""Small ONNX models, put together node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pvcnn.partition.float_graph.graph import FloatGraph
from pvcnn.partition.onnx_import.translate import load_onnx

Array = NDArray[Any]
SHAPE = (4, 7, 6)
OPSET = 18


def random(*shape: int, seed: int = 0, least: float = -1.0) -> Array:
    """Float64 in [least, 1)."""
    return np.random.default_rng([seed, *shape]).uniform(least, 1, shape)


def integers(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def model_of(
    nodes: Sequence[NodeProto],
    constants: dict[str, Array],
    shape: Sequence[int | str | None] = ("n", *SHAPE),
    opset: int = OPSET,
    element: int = TensorProto.DOUBLE,
) -> ModelProto:
    """A model from "x" to "y"."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return made


def single(operator: str, *constants: Array | None, opset: int = OPSET, **attributes: Any) -> ModelProto:
    """A model of one node; its inputs behind "x" are constants, None for one that is left out."""
    names = ["" if value is None else f"c{place}" for place, value in enumerate(constants)]
    node = helper.make_node(operator, ["x", *names], ["y"], name="node", **attributes)
    stored = {name: value for name, value in zip(names, constants, strict=True) if value is not None}
    return model_of([node], stored, opset=opset)


def save(model: ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save_model(model, path)
    return path


def imported(model: ModelProto, folder: Path) -> FloatGraph:
    return load_onnx(save(model, folder))


def outputs(
    model: ModelProto, folder: Path, shape: tuple[int, ...] = SHAPE, spread: float = 1.0
) -> tuple[Array, Array]:
    """What pvcnn and what ONNX's own evaluator make of three random frames."""
    frames = spread * random(3, *shape, seed=1)
    ours = imported(model, folder).output(torch.from_numpy(frames)).numpy()
    (theirs,) = ReferenceEvaluator(model).run(None, {"x": frames})
    return ours, np.asarray(theirs)
