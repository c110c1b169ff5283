"""From an ONNX file to a graph of float layers. The file is data: nothing in it is run."""

from __future__ import annotations

import os
from pathlib import Path

from pvcnn.errors import DependencyMissing, UnsupportedLayer

try:
    from pvcnn.partition.onnx_import.model import OnnxModel, read_model
    from pvcnn.partition.onnx_import.operators import convert
    from pvcnn.partition.onnx_import.tensors import TensorReader
    from pvcnn.partition.onnx_import.values import NO_PADDING, Signal, Translation
except ImportError as error:
    raise DependencyMissing("ONNX models need the package onnx: pip install 'pvcnn[onnx]'") from error

from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import FRAMES, FloatGraph


def load_onnx(path: str | os.PathLike[str]) -> FloatGraph:
    """What the model in the file computes at inference, in float64 (docs/models.md, section "ONNX").

    Weights may lie in other files of the same folder. A softmax or sigmoid of logits at the very end is
    left out, and the graph's notes say so.

    Raises DecodeError for bytes that are no ONNX model, weights that are not finite, and files that
    lead out of the folder; UnsupportedLayer, naming node and operator, for what the graph cannot express;
    CampaignError for a file that cannot be read.
    """
    file = Path(path)
    model = read_model(file)
    translation = Translation(
        model, TensorReader(file.parent), Draft(model.input_shape), {model.frames: Signal(FRAMES)}
    )
    needed = _needed(model)
    for node in model.nodes:
        if needed.intersection(node.outputs):
            translation.values[node.outputs[0]] = convert(translation, node)
    output = translation.values.get(model.output)
    if not isinstance(output, Signal) or output.padding != NO_PADDING or output.number == FRAMES:
        raise UnsupportedLayer("the model's output must be what its last layer makes of the frames")
    translation.draft.output = output.number
    return translation.draft.finish(translation.notes)


def _needed(model: OnnxModel) -> set[str]:
    """The values that the output is made of; "" never is."""
    needed = {model.output}
    for node in reversed(model.nodes):
        if needed.intersection(node.outputs):
            needed.update(filter(None, node.inputs))
    return needed
