"""Functions of one variable that stand between the layers of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

Kind: TypeAlias = Literal[
    "identity",
    "square",
    "relu",
    "leaky_relu",
    "relu6",
    "hardtanh",
    "sigmoid",
    "tanh",
    "silu",
    "gelu",
    "gelu_tanh",
    "hardswish",
    "hardsigmoid",
    "elu",
    "softplus",
    "polynomial",
]

#: What torch calls the module of each kind, for messages and reports.
_TYPE_NAMES: dict[Kind, str] = {
    "identity": "Identity",
    "square": "Square",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "relu6": "ReLU6",
    "hardtanh": "Hardtanh",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "silu": "SiLU",
    "gelu": "GELU",
    "gelu_tanh": "GELU",
    "hardswish": "Hardswish",
    "hardsigmoid": "Hardsigmoid",
    "elu": "ELU",
    "softplus": "Softplus",
    "polynomial": "Polynomial",
}

_FUNCTIONS: dict[Kind, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "square": torch.square,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
}
#: Those whose value falls and rises.
_BENT: tuple[Kind, ...] = ("square", "silu", "gelu", "gelu_tanh", "hardswish", "polynomial")


@dataclass(frozen=True)
class Activation:
    """One function on every entry.

    `parameter` is the slope of leaky_relu below 0, the alpha of elu, the beta of softplus, and the least
    value of hardtanh, whose greatest one is `upper`; the other kinds have none. "gelu" is the exact one,
    "gelu_tanh" torch's approximation by tanh. `coefficients` are a polynomial's, that of x^0 first, and
    shown by no `repr`: before the cut they are secret.
    """

    name: str
    kind: Kind
    parameter: float = 0.0
    upper: float = 0.0
    coefficients: tuple[float, ...] = field(default=(), repr=False)

    @property
    def type_name(self) -> str:
        """What torch calls it."""
        return _TYPE_NAMES[self.kind]

    @property
    def function(self) -> Callable[[Tensor], Tensor]:
        """From float64 tensors to float64 tensors of the same shape."""
        match self.kind:
            case "leaky_relu":
                return partial(F.leaky_relu, negative_slope=self.parameter)
            case "hardtanh":
                return partial(torch.clamp, min=self.parameter, max=self.upper)
            case "elu":
                return partial(F.elu, alpha=self.parameter)
            case "softplus":
                return partial(F.softplus, beta=self.parameter)
            case "polynomial":
                return partial(_polynomial, self.coefficients)
            case kind:
                return _FUNCTIONS[kind]

    @property
    def positively_homogeneous(self) -> bool:
        """Whether f(c x) = c f(x) for every c > 0, so that any scale passes through."""
        return self.kind in ("identity", "relu", "leaky_relu")

    @property
    def nondecreasing(self) -> bool:
        """Whether f(x) <= f(y) for x <= y, so that f commutes with a maximum."""
        if self.kind in ("leaky_relu", "elu"):
            return self.parameter >= 0
        return self.kind not in _BENT


def _polynomial(coefficients: tuple[float, ...], values: Tensor) -> Tensor:
    result = torch.zeros_like(values)
    for coefficient in reversed(coefficients):
        result = result * values + coefficient
    return result
