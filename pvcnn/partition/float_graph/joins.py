"""Calls that join several tensors, or a tensor and constants: sums, products, concatenations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pvcnn.partition.float_graph.activations import Kind
from pvcnn.partition.float_graph.draft import Draft
from pvcnn.partition.float_graph.graph import Activation, Add, BatchNorm, Concatenate, Multiply
from pvcnn.partition.float_graph.place import Setting
from pvcnn.program.layers import Shape

#: What x f(x) is called.
_GATED: dict[Kind, Kind] = {"sigmoid": "silu", "hardsigmoid": "hardswish"}


@dataclass(frozen=True)
class Operand:
    """A value of the draft; whatever else a join takes is a constant."""

    number: int


@dataclass(frozen=True)
class Joining:
    """Where the layer goes, and its name."""

    draft: Draft
    name: str

    def affine(self, number: int, scale: Any, shift: Any) -> int:
        """scale x + shift for constants that have one number, or one for each channel."""
        shape = self.draft.shape(number)
        scales, shifts = _per_channel(scale, shape), _per_channel(shift, shape)
        if bool((scales == 1).all() and (shifts == 0).all()):
            return number
        return self.draft.add(BatchNorm(self.name, scales, shifts), number)

    def product(self, x: int, y: int) -> int:
        """x y, with a gate for channels behind what it gates; x x is a square, x sigmoid(x) is SiLU."""
        if x == y:
            return self.draft.add(Activation(self.name, "square"), x)
        for value, gate in ((x, y), (y, x)):
            node = self.draft.maker(gate)
            if node and node.inputs == (value,) and isinstance(node.layer, Activation):
                kind = _GATED.get(node.layer.kind)
                if kind:
                    return self.draft.add(Activation(self.name, kind), value)
        shape = self.draft.shape(x)
        if len(shape) == 3 and shape[1:] == (1, 1):
            x, y = y, x
        return self.draft.add(Multiply(self.name), x, y)


def _per_channel(constant: Any, shape: Shape) -> Tensor:
    """(channels,) float64. Raises Setting for what differs within a channel or is no number."""
    try:
        values = torch.as_tensor(constant, dtype=torch.float64).detach()
        return torch.broadcast_to(values, (1, shape[0], *[1] * (len(shape) - 1))).flatten().clone()
    except (TypeError, ValueError, RuntimeError):
        raise Setting(
            "constants and parameters may only be used inside layers, or as one number, or one for each "
            f"of {shape[0]} channels; this is neither"
        ) from None


def add(joining: Joining, left: Any, right: Any, *, alpha: float = 1) -> int:
    """left + alpha right."""
    if not isinstance(alpha, int | float):
        raise Setting("alpha must be a number")
    match left, right:
        case Operand(x), Operand(y):
            return joining.draft.add(Add(joining.name, (1.0, float(alpha))), x, y)
        case Operand(x), _:
            return joining.affine(x, 1.0, _scaled(right, alpha))
        case _:
            return joining.affine(right.number, alpha, left)


def subtract(joining: Joining, left: Any, right: Any, *, alpha: float = 1) -> int:
    """left - alpha right."""
    return add(joining, left, right, alpha=-alpha)


def multiply(joining: Joining, left: Any, right: Any) -> int:
    """The product; that of a tensor with itself is its square."""
    match left, right:
        case Operand(x), Operand(y):
            return joining.product(x, y)
        case Operand(x), _:
            return joining.affine(x, right, 0.0)
        case _:
            return joining.affine(right.number, left, 0.0)


def divide(joining: Joining, left: Any, right: Any) -> int:
    """left / right for a constant on the right."""
    if isinstance(right, Operand):
        raise Setting("divides by a tensor, which is not supported; only division by constants is")
    return joining.affine(left.number, _inverse(right), 0.0)


def negate(joining: Joining, tensor: Operand) -> int:
    """-tensor."""
    return joining.affine(tensor.number, -1.0, 0.0)


def concatenate(joining: Joining, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> int:
    """Along channels or features."""
    numbers = [tensor.number for tensor in tensors if isinstance(tensor, Operand)]
    if len(numbers) != len(tensors):
        raise Setting("concatenates constants with tensors, which is not supported")
    along = dim if axis is None else axis
    if along % (len(joining.draft.shape(numbers[0])) + 1) != 1:
        raise Setting(f"concatenates along axis {along}; use dim=1, along channels")
    if len(numbers) == 1:
        return numbers[0]
    return joining.draft.add(Concatenate(joining.name), *numbers)


def _scaled(constant: Any, factor: float) -> Any:
    return constant * factor if isinstance(constant, int | float | Tensor) else constant


def _inverse(constant: Any) -> Any:
    if not isinstance(constant, int | float | Tensor) or not bool(torch.as_tensor(constant).all()):
        raise Setting("divides by zero, or by what is no number")
    return 1 / constant


Join = Callable[..., int]

JOINS: dict[Callable[..., Any] | str, Join] = {
    operator.add: add,
    operator.iadd: add,
    torch.add: add,
    "add": add,
    "add_": add,
    operator.sub: subtract,
    operator.isub: subtract,
    torch.sub: subtract,
    torch.subtract: subtract,
    "sub": subtract,
    "sub_": subtract,
    operator.mul: multiply,
    operator.imul: multiply,
    torch.mul: multiply,
    torch.multiply: multiply,
    "mul": multiply,
    "mul_": multiply,
    operator.truediv: divide,
    operator.itruediv: divide,
    torch.div: divide,
    torch.divide: divide,
    "div": divide,
    "div_": divide,
    operator.neg: negate,
    torch.neg: negate,
    "neg": negate,
    torch.cat: concatenate,
    torch.concat: concatenate,
    torch.concatenate: concatenate,
}
