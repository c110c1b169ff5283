"""What a conversion knows about the place of a layer, and the errors with which it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pvcnn.errors import UnsupportedLayer
from pvcnn.partition.float_graph.graph import FloatLayer
from pvcnn.program.layers import Shape
from pvcnn.program.windows import Sides

NO_PADDING: Sides = (0, 0, 0, 0)

#: What a conversion makes of one tensor: layers one behind the other; none for the identity.
Layers: TypeAlias = tuple[FloatLayer, ...]
#: Takes a Place and the arguments of torch's layer or function.
Convert: TypeAlias = Callable[..., Layers]

SUPPORTED = (
    "Conv2d, Linear, BatchNorm1d, BatchNorm2d; ReLU, LeakyReLU, PReLU with one slope, ReLU6, Hardtanh, "
    "Sigmoid, Tanh, SiLU, GELU, Hardswish, Hardsigmoid, ELU, Softplus, Square (x * x), Polynomial; "
    "MaxPool2d, AvgPool2d, "
    "AdaptiveMaxPool2d and AdaptiveAvgPool2d with equal windows, means over rows and columns; ZeroPad2d "
    "before a convolution or average; sums and products of tensors, and with constants; torch.cat; "
    "Flatten, view, reshape, squeeze; Dropout; Softmax at the end"
)
_NORMALISE = "its mean and deviation depend on the frame; train with BatchNorm2d instead"
_SLICE = "parts of a tensor are not supported; use two convolutions in place of the one that is split"
_SOFTMAX = "is supported as the model's last step alone, of logits, where it is left out"
#: What to do about layers that are often met.
_REMEDIES = {
    "LayerNorm": _NORMALISE,
    "GroupNorm": _NORMALISE,
    "InstanceNorm2d": _NORMALISE,
    "chunk": _SLICE,
    "split": _SLICE,
    "getitem": _SLICE,
    "Softmax": _SOFTMAX,
    "LogSoftmax": _SOFTMAX,
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "Mish": "not supported; use SiLU, which is much like it",
    "SELU": "not supported; use ELU",
    "CELU": "not supported; use ELU",
    "argmax": "let the model return its logits; the decision is taken from them",
    "matmul": "products of matrices are not supported; use Linear, whose weights are fixed",
    "permute": "axes keep their order; leave it out and flatten with Flatten",
    "transpose": "axes keep their order; leave it out and flatten with Flatten",
    "ConvTranspose2d": "not supported; upsampling has no place in a classifier: leave it out",
    "Conv1d": "not supported; use Conv2d with a kernel of height 1",
    "stack": "not supported; concatenate along channels with torch.cat(..., dim=1)",
}


def refuse(where: str, kind: str, reason: str = "") -> UnsupportedLayer:
    """The error for a layer at module path `where`, of type or function name `kind`."""
    if not reason and kind.startswith("Parametrized"):
        reason = "is parametrized; call torch.nn.utils.parametrize.remove_parametrizations first"
    return UnsupportedLayer(f"{where} ({kind}): {reason or _remedy(kind)}")


def _remedy(kind: str) -> str:
    return _REMEDIES.get(kind, f"not supported; supported are {SUPPORTED}")


class Setting(Exception):  # noqa: N818 - turned into UnsupportedLayer, never seen outside
    """A layer's setting that the graph cannot express; the message names the remedy."""


@dataclass(frozen=True)
class Place:
    """The layer's name, and the shape of what it takes, around which there are `padding` zeros."""

    name: str
    shape: Shape
    padding: Sides = NO_PADDING

    def maps(self) -> tuple[int, int]:
        """Height and width. Raises Setting where there are none."""
        if len(self.shape) != 3:
            raise Setting(f"gets values of shape {self.shape}; it needs channels, height and width")
        return self.shape[1], self.shape[2]
