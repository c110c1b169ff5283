"""Polynomials in place of the activations before a cut, and training that goes on with them.

Encryption evaluates sums and products, so a ReLU before the cut has to become a polynomial. The best one
of low degree is not close to it: on [-1, 1] a quadratic is off by up to 0.1. What makes up for that is
training on with the polynomials in place, coefficients included.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.models.layers import Polynomial
from pvcnn.partition.cut import cut_graph
from pvcnn.partition.float_graph.activations import Activation
from pvcnn.partition.float_graph.fold import activations_first, fold_batch_norms
from pvcnn.partition.float_graph.graph import FloatGraph, FloatNode
from pvcnn.partition.torch_import.trace import trace

Floats = NDArray[np.float64]

#: Of the values that calibration frames bring to an activation, as many are fitted to.
_SAMPLES = 1 << 14

#: Where a function is fitted on an interval.
_NODES = 257


def fit_on_interval(
    function: Callable[[Tensor], Tensor], low: float, high: float, degree: int
) -> tuple[float, ...]:
    """Coefficients, that of x^0 first, of the least-squares polynomial at Chebyshev nodes of [low, high].

    It is within a small factor of the polynomial of least largest error. Raises ValueError for an empty
    interval or a degree below 1.
    """
    if not low < high or degree < 1:
        raise ValueError(f"cannot fit a polynomial of degree {degree} on [{low}, {high}]")
    angles = math.pi * (np.arange(_NODES) + 0.5) / _NODES
    return _least_squares(function, (low + high) / 2 + (high - low) / 2 * np.cos(angles), degree)


def fit_to_samples(function: Callable[[Tensor], Tensor], samples: Floats, degree: int) -> tuple[float, ...]:
    """Coefficients of the polynomial whose mean square error on the samples is least: their density weighs.

    Raises ValueError for fewer distinct samples than coefficients.
    """
    if len(np.unique(samples)) <= degree:
        raise ValueError(f"{len(np.unique(samples))} values do not determine a polynomial of degree {degree}")
    return _least_squares(function, samples, degree)


def _least_squares(function: Callable[[Tensor], Tensor], x: Floats, degree: int) -> tuple[float, ...]:
    y = function(torch.from_numpy(x)).numpy()
    fitted = np.polynomial.Chebyshev.fit(x, y, degree)
    coefficients = fitted.convert(kind=np.polynomial.Polynomial).coef
    return tuple(np.pad(coefficients, (0, degree + 1 - len(coefficients))).tolist())


def replace_activations(
    model: nn.Module, calibration_frames: Tensor, cut: int | str, degree: int = 2
) -> nn.Module:
    """A copy of `model`, in eval mode, with polynomials for the activations before `cut`.

    Each is fitted to the values that reach its activation on the frames (N, channels, height, width), in the
    model as it is. Squares and polynomials stay. Expect to lose accuracy until `fine_tune` has run.

    Raises UnsupportedLayer for an activation that is no module, and what tracing and cutting raise.
    """
    changed = copy.deepcopy(model).eval()
    with torch.no_grad():
        graph = activations_first(fold_batch_norms(trace(changed, calibration_frames.double())))
        private = cut_graph(graph, cut).private
        names = [
            layer.name
            for layer in private
            if isinstance(layer, Activation) and layer.kind not in ("square", "polynomial")
        ]
        fitted = {
            name: _fitted(changed, name, layer.function, calibration_frames, degree)
            for name, layer in ((layer.name, layer) for layer in private if isinstance(layer, Activation))
            if name in names
        }
    for name, polynomial in fitted.items():
        parent, _, own = name.rpartition(".")
        setattr(changed.get_submodule(parent), own, polynomial)
    return changed


def fit_activations(graph: FloatGraph, frames: Tensor, place: int, degree: int) -> FloatGraph:
    """`graph` with polynomials for the activations that make its values up to number `place`.

    As `replace_activations` does in a module: to see what a cut would cost, since nothing is trained on.
    `frames` are float64 (N, *graph.input_shape).
    """
    values = [frames, *islice(graph.evaluate(frames), place)]
    nodes = list(graph.nodes)
    for index, node in enumerate(graph.nodes[:place]):
        layer = node.layer
        if isinstance(layer, Activation) and layer.kind not in ("square", "polynomial"):
            coefficients = fit_to_samples(layer.function, _some(values[node.inputs[0]]), degree)
            polynomial = Activation(layer.name, "polynomial", coefficients=coefficients)
            nodes[index] = FloatNode(polynomial, node.inputs)
    return FloatGraph(graph.input_shape, tuple(nodes), graph.notes)


def _some(values: Tensor) -> Floats:
    flat: Floats = values.flatten().double().numpy()
    return flat[:: max(1, len(flat) // _SAMPLES)]


def _fitted(
    model: nn.Module, name: str, function: Callable[[Tensor], Tensor], frames: Tensor, degree: int
) -> Polynomial:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise UnsupportedLayer(f"{name}: is called as a function; make it a module to replace it") from None
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten()))
    try:
        model(frames)
    finally:
        hook.remove()
    return Polynomial(fit_to_samples(function, _some(torch.cat(seen)), degree))


def fine_tune(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    epochs: int = 1,
    learning_rate: float = 1e-3,
    largest_gradient: float = 1.0,
) -> tuple[float, ...]:
    """Trains `model` on, in place, and leaves it in eval mode; the mean loss of each epoch.

    `batches` gives (frames, labels) and is gone through once an epoch. With one logit, labels are 0 or 1.
    Gradients are clipped, since those of polynomials grow with their arguments. Measure the accuracy
    afterwards, on frames that were in no batch. Raises ValueError if the loss is not a number.
    """
    optimiser = torch.optim.AdamW(model.parameters(), learning_rate)
    model.train()
    means = []
    for _ in range(epochs):
        losses = [_trained(model, optimiser, batch, largest_gradient) for batch in batches]
        if not losses:
            raise ValueError("there are no batches to train on")
        means.append(sum(losses) / len(losses))
    model.eval()
    return tuple(means)


def _trained(
    model: nn.Module, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], largest: float
) -> float:
    frames, labels = batch
    logits = model(frames)
    if logits.ndim == 1 or logits.shape[1] == 1:
        loss = nn.functional.binary_cross_entropy_with_logits(logits.flatten(), labels.to(logits.dtype))
    else:
        loss = nn.functional.cross_entropy(logits, labels)
    if not bool(torch.isfinite(loss)):
        raise ValueError("the loss is not a number; take a smaller learning rate")
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), largest)
    optimiser.step()
    return float(loss.detach())
