"""Functions of one variable, as torch describes them."""

from __future__ import annotations

from torch import Tensor

from pvcnn.partition.float_graph.activations import Kind
from pvcnn.partition.float_graph.graph import Activation
from pvcnn.partition.float_graph.place import Convert, Layers, Place, Setting

#: Where torch's softplus becomes linear; its value there is that of the function, to 9 digits.
_SOFTPLUS_THRESHOLD = 20


def plain(kind: Kind) -> Convert:
    """The conversion of an activation without settings."""

    def convert(place: Place, inplace: bool = False) -> Layers:
        return (Activation(place.name, kind),)

    return convert


def leaky_relu(place: Place, negative_slope: float = 0.01, inplace: bool = False) -> Layers:
    slope = _number(negative_slope, "negative_slope")
    return (Activation(place.name, "leaky_relu", slope),) if slope else plain("relu")(place)


def prelu(place: Place, weight: Tensor) -> Layers:
    if bool((weight != weight.flatten()[0]).any()):
        raise Setting("has a slope for every channel; use num_parameters=1")
    return leaky_relu(place, float(weight.flatten()[0]))


def hardtanh(place: Place, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Layers:
    low, high = _number(min_val, "min_val"), _number(max_val, "max_val")
    if (low, high) == (0, 6):
        return plain("relu6")(place)
    return (Activation(place.name, "hardtanh", low, high),)


def clamp(place: Place, min: float | None = None, max: float | None = None) -> Layers:
    if min is not None and max is not None:
        return hardtanh(place, min, max)
    if min == 0:
        return plain("relu")(place)
    raise Setting(f"min={min}, max={max} is not supported; give both, or min=0 alone")


def gelu(place: Place, approximate: str = "none") -> Layers:
    return plain("gelu_tanh" if approximate == "tanh" else "gelu")(place)


def elu(place: Place, alpha: float = 1.0, inplace: bool = False) -> Layers:
    return (Activation(place.name, "elu", _number(alpha, "alpha")),)


def softplus(place: Place, beta: float = 1.0, threshold: float = _SOFTPLUS_THRESHOLD) -> Layers:
    beta = _number(beta, "beta")
    if beta <= 0 or threshold != _SOFTPLUS_THRESHOLD:
        raise Setting(
            f"beta={beta}, threshold={threshold} is not supported; use a positive beta and threshold=20"
        )
    return (Activation(place.name, "softplus", beta),)


def power(place: Place, exponent: object) -> Layers:
    if exponent != 2:
        raise Setting(f"exponent {exponent} is not supported; only squares are")
    return plain("square")(place)


def polynomial(place: Place, coefficients: Tensor) -> Layers:
    return (Activation(place.name, "polynomial", coefficients=tuple(coefficients.tolist())),)


def _number(value: object, what: str) -> float:
    if not isinstance(value, int | float):
        raise Setting(f"{what} must be a number")
    return float(value)
