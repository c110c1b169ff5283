"""From torch's layers on one tensor, as modules or as functions, to those of `partition.float_graph`.

Module forms and function forms go through the same constructors, which refuse, naming the remedy,
every setting that the graph cannot express: nothing is approximated.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.models.layers import Polynomial
from pvcnn.partition.float_graph.graph import BatchNorm, Linear
from pvcnn.partition.float_graph.place import Convert, Layers, Place, Setting, refuse
from pvcnn.partition.torch_import import convert_activations as activations
from pvcnn.partition.torch_import import convert_windows as windows
from pvcnn.partition.torch_import.convert_activations import plain


def from_module(place: Place, where: str, module: nn.Module) -> Layers:
    """What `module`, found at path `where`, is. Raises UnsupportedLayer naming `where` and its type."""
    kind = type(module).__name__
    convert = _MODULES.get(type(module))
    if convert is None:
        raise refuse(where, kind)
    return _convert(convert, place, where, kind, (module,), {})


def from_function(
    place: Place, where: str, target: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Layers:
    """What a call of a function (or, by name, of a tensor's method) on one tensor is.

    `args` and `kwargs` are the call's, without the tensor. Raises UnsupportedLayer.
    """
    kind = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    convert = _METHODS.get(target) if isinstance(target, str) else _FUNCTIONS.get(target)
    if convert is None:
        raise refuse(where, kind)
    return _convert(convert, place, where, kind, args, kwargs)


def _convert(
    convert: Convert,
    place: Place,
    where: str,
    kind: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Layers:
    if any(place.padding) and convert not in _TAKE_PADDING:
        raise refuse(
            where,
            kind,
            "gets a padded tensor; zeros may be padded directly before Conv2d and AvgPool2d alone",
        )
    try:
        inspect.signature(convert).bind(place, *args, **kwargs)
    except TypeError:
        raise refuse(where, kind, "is called with arguments that are not supported") from None
    try:
        return convert(place, *args, **kwargs)
    except Setting as setting:
        raise refuse(where, kind, str(setting)) from None


def _linear(place: Place, weight: Tensor, bias: Tensor | None = None) -> Layers:
    if bias is None:
        bias = torch.zeros(weight.shape[0], dtype=weight.dtype)
    return (Linear(place.name, weight.detach(), bias.detach()),)


def _batch_norm_module(place: Place, module: nn.BatchNorm1d | nn.BatchNorm2d) -> Layers:
    return _batch_norm(
        place, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps
    )


def _batch_norm(
    place: Place,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Layers:
    if running_mean is None or running_var is None:
        raise Setting("has no running statistics; use track_running_stats=True and train it")
    if training:
        raise Setting("takes the statistics of the batch at inference too; pass training=self.training")
    scale = torch.rsqrt(running_var + eps)
    if weight is not None:
        scale = scale * weight.detach()
    shift = -running_mean * scale
    if bias is not None:
        shift = shift + bias.detach()
    return (BatchNorm(place.name, scale, shift),)


def _identity(place: Place) -> Layers:
    return ()


def _dropout(place: Place, p: float = 0.5, training: bool = True, inplace: bool = False) -> Layers:
    if training:
        raise Setting("drops values at inference too; pass training=self.training")
    return ()


def _nothing(place: Place, module: nn.Module) -> Layers:
    return ()


#: Each takes a Place and the module.
_MODULES: dict[type[nn.Module], Convert] = {
    nn.Conv2d: windows.convolution_module,
    nn.Linear: lambda place, m: _linear(place, m.weight, m.bias),
    nn.BatchNorm1d: _batch_norm_module,
    nn.BatchNorm2d: _batch_norm_module,
    nn.ReLU: lambda place, m: plain("relu")(place),
    nn.LeakyReLU: lambda place, m: activations.leaky_relu(place, m.negative_slope),
    nn.PReLU: lambda place, m: activations.prelu(place, m.weight.detach()),
    nn.ReLU6: lambda place, m: plain("relu6")(place),
    nn.Hardtanh: lambda place, m: activations.hardtanh(place, m.min_val, m.max_val),
    nn.Sigmoid: lambda place, m: plain("sigmoid")(place),
    nn.Tanh: lambda place, m: plain("tanh")(place),
    nn.SiLU: lambda place, m: plain("silu")(place),
    nn.GELU: lambda place, m: activations.gelu(place, m.approximate),
    nn.Hardswish: lambda place, m: plain("hardswish")(place),
    nn.Hardsigmoid: lambda place, m: plain("hardsigmoid")(place),
    nn.ELU: lambda place, m: activations.elu(place, m.alpha),
    nn.Softplus: lambda place, m: activations.softplus(place, m.beta, m.threshold),
    Polynomial: lambda place, m: activations.polynomial(place, m.coefficients.detach()),
    nn.MaxPool2d: lambda place, m: windows.max_pool(
        place, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    nn.AvgPool2d: windows.average_pool_module,
    nn.AdaptiveAvgPool2d: lambda place, m: windows.adaptive_average_pool(place, m.output_size),
    nn.AdaptiveMaxPool2d: lambda place, m: windows.adaptive_max_pool(place, m.output_size, m.return_indices),
    nn.Dropout: _nothing,
    nn.Dropout1d: _nothing,
    nn.Dropout2d: _nothing,
    nn.AlphaDropout: _nothing,
    nn.FeatureAlphaDropout: _nothing,
    nn.Identity: _nothing,
}

_RELU, _RELU6 = plain("relu"), plain("relu6")
_SIGMOID, _TANH = plain("sigmoid"), plain("tanh")
_SQUARE = plain("square")

_FUNCTIONS: dict[Callable[..., Any], Convert] = {
    F.conv2d: windows.convolution,
    torch.conv2d: windows.convolution,
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    F.relu: _RELU,
    F.relu_: _RELU,
    torch.relu: _RELU,
    torch.relu_: _RELU,
    F.leaky_relu: activations.leaky_relu,
    F.leaky_relu_: activations.leaky_relu,
    F.prelu: activations.prelu,
    torch.prelu: activations.prelu,
    F.relu6: _RELU6,
    F.hardtanh: activations.hardtanh,
    F.hardtanh_: activations.hardtanh,
    torch.clamp: activations.clamp,
    torch.clip: activations.clamp,
    torch.sigmoid: _SIGMOID,
    F.sigmoid: _SIGMOID,
    torch.tanh: _TANH,
    F.tanh: _TANH,
    F.silu: plain("silu"),
    F.gelu: activations.gelu,
    F.hardswish: plain("hardswish"),
    F.hardsigmoid: plain("hardsigmoid"),
    F.elu: activations.elu,
    F.elu_: activations.elu,
    F.softplus: activations.softplus,
    F.max_pool2d: windows.max_pool,
    torch.max_pool2d: windows.max_pool,
    F.avg_pool2d: windows.average_pool,
    F.adaptive_avg_pool2d: windows.adaptive_average_pool,
    F.adaptive_max_pool2d: windows.adaptive_max_pool,
    torch.mean: windows.mean,
    torch.amax: windows.amax,
    torch.square: _SQUARE,
    operator.pow: activations.power,
    torch.pow: activations.power,
    F.dropout: _dropout,
    F.dropout1d: _dropout,
    F.dropout2d: _dropout,
    torch.dropout: _dropout,
}

_METHODS: dict[str, Convert] = {
    "relu": _RELU,
    "relu_": _RELU,
    "sigmoid": _SIGMOID,
    "sigmoid_": _SIGMOID,
    "tanh": _TANH,
    "tanh_": _TANH,
    "clamp": activations.clamp,
    "clamp_": activations.clamp,
    "clip": activations.clamp,
    "clip_": activations.clamp,
    "mean": windows.mean,
    "amax": windows.amax,
    "square": _SQUARE,
    "square_": _SQUARE,
    "pow": activations.power,
    "pow_": activations.power,
    "__pow__": activations.power,
    "contiguous": _identity,
    "clone": _identity,
    "detach": _identity,
}

#: What can make a tensor's padding its own.
_TAKE_PADDING: tuple[Convert, ...] = (
    windows.convolution_module,
    windows.convolution,
    windows.average_pool_module,
    windows.average_pool,
    _identity,
    _nothing,
)
