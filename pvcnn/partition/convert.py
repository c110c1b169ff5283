"""From torch's layers, as modules or as functions, to the float layers of `partition.graph`.

Module forms and function forms go through the same constructors, which refuse, naming the remedy,
every setting that the graph cannot express: nothing is approximated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.graph import (
    AveragePool,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    LeakyReLU,
    Linear,
    MaxPool,
    Square,
)

SUPPORTED = (
    "Conv2d, BatchNorm1d, BatchNorm2d, Linear, ReLU, LeakyReLU, Square (x * x), MaxPool2d, AvgPool2d, "
    "Flatten, Dropout"
)
#: What to do about layers that are often met.
_REMEDIES = {
    "AdaptiveAvgPool2d": "use AvgPool2d with the window written out",
    "AdaptiveMaxPool2d": "use MaxPool2d with the window written out",
    "Sigmoid": "leave it out after the last layer: the decision is logit > 0; elsewhere use LeakyReLU",
    "Softmax": "end the model with one logit, the difference of the two",
    "LogSoftmax": "end the model with one logit, the difference of the two",
    "add": "residual connections are not supported: use a plain chain of layers",
    "cat": "concatenation is not supported: use a plain chain of layers",
}


def refuse(where: str, kind: str, reason: str = "") -> UnsupportedLayer:
    """The error for a layer at module path `where`, of type or function name `kind`."""
    if not reason:
        remedy = _REMEDIES.get(kind)
        reason = f"not supported; {remedy}" if remedy else f"not supported; supported are {SUPPORTED}"
    return UnsupportedLayer(f"{where} ({kind}): {reason}")


def from_module(name: str, where: str, module: nn.Module) -> FloatLayer | None:
    """The layer called `name` that `module`, found at path `where`, is; None for the identity.

    Raises UnsupportedLayer naming `where` and the module's type.
    """
    kind = type(module).__name__
    if module._forward_hooks or module._forward_pre_hooks:
        raise refuse(where, kind, "has forward hooks, which would be ignored; remove them first")
    convert = _MODULES.get(type(module))
    if convert is None:
        raise refuse(where, kind)
    try:
        return convert(name, module)
    except _Setting as setting:
        raise refuse(where, kind, str(setting)) from None


def from_function(
    name: str, where: str, target: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> FloatLayer | None:
    """The layer that a call of a function (or, by name, of a tensor's method) on one tensor is.

    `args` and `kwargs` are the call's, without the tensor. Raises UnsupportedLayer.
    """
    kind = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    convert = _METHODS.get(target) if isinstance(target, str) else _FUNCTIONS.get(target)
    if convert is None:
        raise refuse(where, kind)
    try:
        return convert(name, *args, **kwargs)
    except _Setting as setting:
        raise refuse(where, kind, str(setting)) from None
    except TypeError:
        raise refuse(where, kind, "is called with arguments that are not supported") from None


class _Setting(Exception):  # noqa: N818 - caught here, never seen outside
    """A layer's setting that the graph cannot express; the message names the remedy."""


def _side(value: int | tuple[int, ...], what: str) -> int:
    """The one number in 3, (3,) or (3, 3)."""
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise _Setting(f"{what} {value} differs by axis; use the same for both")
    return int(sides.pop())


def _convolution(name: str, module: nn.Conv2d) -> FloatLayer:
    if module.groups != 1:
        raise _Setting(f"groups={module.groups} is not supported; use groups=1")
    if _side(module.dilation, "dilation") != 1:
        raise _Setting(f"dilation={module.dilation} is not supported; use dilation=1")
    if module.padding_mode != "zeros":
        raise _Setting(f"padding_mode={module.padding_mode!r} is not supported; use 'zeros'")
    kernel = _side(module.kernel_size, "kernel_size")
    stride = _side(module.stride, "stride")
    return Conv2d(name, module.weight.detach(), _bias(module), stride, _zero_padding(module.padding, kernel))


def _zero_padding(padding: str | int | tuple[int, ...], kernel: int) -> int:
    if padding == "same" and kernel % 2 == 0:
        raise _Setting("padding='same' pads an even kernel unevenly; use an odd kernel")
    if isinstance(padding, str):
        return kernel // 2 if padding == "same" else 0
    return _side(padding, "padding")


def _linear(name: str, module: nn.Linear) -> FloatLayer:
    return Linear(name, module.weight.detach(), _bias(module))


def _bias(module: nn.Conv2d | nn.Linear) -> Tensor:
    if module.bias is None:
        return torch.zeros(module.weight.shape[0], dtype=module.weight.dtype)
    return module.bias.detach()


def _batch_norm(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> FloatLayer:
    if module.running_mean is None or module.running_var is None:
        raise _Setting("has no running statistics; use track_running_stats=True and train it")
    scale = torch.rsqrt(module.running_var + module.eps)
    if module.affine:
        scale = scale * module.weight.detach()
    shift = -module.running_mean * scale
    if module.affine:
        shift = shift + module.bias.detach()
    return BatchNorm(name, scale, shift)


def _relu(name: str, inplace: bool = False) -> FloatLayer:
    return LeakyReLU(name, 0.0)


def _leaky_relu(name: str, negative_slope: float = 0.01, inplace: bool = False) -> FloatLayer:
    if not isinstance(negative_slope, int | float):
        raise _Setting("negative_slope must be a number")
    return LeakyReLU(name, float(negative_slope))


def _square(name: str) -> FloatLayer:
    return Square(name)


def _power(name: str, exponent: object) -> FloatLayer:
    if exponent != 2:
        raise _Setting(f"exponent {exponent} is not supported; only squares are")
    return Square(name)


def _max_pool(
    name: str,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> FloatLayer:
    if _side(dilation, "dilation") != 1:
        raise _Setting(f"dilation={dilation} is not supported; use dilation=1")
    if return_indices:
        raise _Setting("return_indices is not supported")
    return MaxPool(name, _disjoint_window(kernel_size, stride, padding, ceil_mode))


def _average_pool(
    name: str,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> FloatLayer:
    if divisor_override is not None:
        raise _Setting("divisor_override is not supported; scale the next layer's weights instead")
    if _side(padding, "padding") != 0:
        raise _Setting(
            f"padding={padding} with count_include_pad={count_include_pad} is not supported; use padding=0"
        )
    return AveragePool(name, _disjoint_window(kernel_size, stride, padding, ceil_mode))


def _disjoint_window(
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None,
    padding: int | tuple[int, ...],
    ceil_mode: bool,
) -> int:
    size = _side(kernel_size, "kernel_size")
    step = size if stride is None or stride == () else _side(stride, "stride")
    if step != size:
        raise _Setting(f"stride {step} differs from kernel_size {size}; windows must not overlap or skip")
    if _side(padding, "padding") != 0:
        raise _Setting(f"padding={padding} is not supported; use padding=0")
    if ceil_mode:
        raise _Setting("ceil_mode=True is not supported; use ceil_mode=False")
    return size


def _flatten(name: str, start_dim: int = 0, end_dim: int = -1) -> FloatLayer:
    if (start_dim, end_dim) != (1, -1):
        raise _Setting(f"flattens axes {start_dim} to {end_dim}; use start_dim=1, end_dim=-1")
    return Flatten(name)


def _dropout(name: str, p: float = 0.5, training: bool = True, inplace: bool = False) -> None:
    if training:
        raise _Setting("drops values at inference too; pass training=self.training")


_MODULES: dict[type[nn.Module], Callable[[str, Any], FloatLayer | None]] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda name, m: _relu(name),
    nn.LeakyReLU: lambda name, m: _leaky_relu(name, m.negative_slope),
    nn.MaxPool2d: lambda name, m: _max_pool(
        name, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    nn.AvgPool2d: lambda name, m: _average_pool(
        name, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    nn.Flatten: lambda name, m: _flatten(name, m.start_dim, m.end_dim),
    nn.Dropout: lambda name, m: None,
    nn.Dropout2d: lambda name, m: None,
    nn.Identity: lambda name, m: None,
}

_FUNCTIONS: dict[Callable[..., Any], Callable[..., FloatLayer | None]] = {
    F.relu: _relu,
    F.relu_: _relu,
    torch.relu: _relu,
    torch.relu_: _relu,
    F.leaky_relu: _leaky_relu,
    F.leaky_relu_: _leaky_relu,
    F.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    F.avg_pool2d: _average_pool,
    torch.flatten: _flatten,
    torch.square: _square,
    operator.pow: _power,
    torch.pow: _power,
    F.dropout: _dropout,
    torch.dropout: _dropout,
}

_METHODS: dict[str, Callable[..., FloatLayer | None]] = {
    "relu": _relu,
    "relu_": _relu,
    "flatten": _flatten,
    "square": _square,
    "pow": _power,
    "__pow__": _power,
}


def layer_name(where: str) -> str:
    """`where` as a name that programs accept: printable ASCII without spaces."""
    return re.sub(r"[^!-~]", "_", where)[:180] or "model"
