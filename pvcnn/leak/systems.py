"""Private weights as the solution of a linear system, for whoever knows frames and sees their features.

Two kinds of private part fall this way, exactly up to rounding:

- one that is affine in the frame: each feature is one linear combination of the pixels in a window;
- convolution, square, average: each feature is a mean of (w . x + b)^2 over a window, linear in the
  products of pairs of weights, 55 for 3x3 with a bias; those form a matrix of rank one, whose root
  is the filter, up to its sign.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from pvcnn.leak.private import FeaturesFunction
from pvcnn.partition.float_graph.graph import Activation, AveragePool, Conv2d, FloatLayer, apply

#: Equations for each unknown, and the most unknowns that are solved for.
_EQUATIONS, MAX_UNKNOWNS = 12, 2500
#: Relative size below which a difference from a linear function is rounding.
LINEAR = 2e-3
_PROBES = 8
#: How far beyond a stride a window may reach, in pixels on either side.
_REACH = 3


def nonlinearity(function: FeaturesFunction, frames: Tensor) -> float:
    """How far f(x) + f(y) - f(x + y) - f(0) is from 0 on pairs of frames, relative to f(x + y) - f(0).

    0 for whatever is affine.
    """
    x, y = frames[:_PROBES], frames[_PROBES : 2 * _PROBES]
    with torch.no_grad():
        origin = function(torch.zeros_like(x))
        whole = function(x + y) - origin
        defect = function(x) - origin + function(y) - origin - whole
    return float(defect.norm() / whole.norm().clamp_min(1e-12))


def solve_affine(frames: Tensor, features: Tensor, seed: int) -> tuple[FeaturesFunction, int] | None:
    """The convolution that makes features (n, out, h, w) of frames (n, in, H, W), from such pairs.

    Its stride is that of the grid; windows grow until one explains what is seen. None if none does. The
    number is that of the pairs that were used.
    """
    if features.ndim != 4 or min(features.shape[2:]) < 2:
        return None
    stride = round(frames.shape[2] / features.shape[2])
    for reach in range(_REACH + 1):
        kernel = stride + 2 * reach
        if frames.shape[1] * kernel**2 + 1 > MAX_UNKNOWNS:
            return None
        for padding in {reach, 0}:
            solved = _convolution(frames, features, stride, kernel, padding, seed)
            if solved is not None:
                return solved
    return None


def _convolution(
    frames: Tensor, features: Tensor, stride: int, kernel: int, padding: int, seed: int
) -> tuple[FeaturesFunction, int] | None:
    windows = F.unfold(frames[:1], kernel, padding=padding, stride=stride)
    if windows.shape[2] != math.prod(features.shape[2:]):
        return None
    count = _pairs(_EQUATIONS * (windows.shape[1] + 1), features)
    rows = F.unfold(frames[:count], kernel, padding=padding, stride=stride).transpose(1, 2).flatten(0, 1)
    values = features[:count].flatten(2).transpose(1, 2).flatten(0, 1)
    chosen = _some(len(rows), _EQUATIONS * (rows.shape[1] + 1), seed)
    solution, error = _solve(_with_one(rows[chosen]), values[chosen])
    if error > LINEAR:
        return None
    weight = solution[:-1].T.reshape(-1, frames.shape[1], kernel, kernel)

    def convolve(x: Tensor) -> Tensor:
        return F.conv2d(x, weight, solution[-1], stride=stride, padding=padding)

    return convolve, count


def squares_of(layers: tuple[FloatLayer, ...] | None) -> tuple[Conv2d, AveragePool | None] | None:
    """The convolution and the pool, if `layers` are a convolution, a square and perhaps an average."""
    match layers:
        case (Conv2d(groups=1) as convolution, Activation(kind="square")):
            pool = None
        case (Conv2d(groups=1) as convolution, Activation(kind="square"), AveragePool() as average):
            pool = average
        case _:
            return None
    unknowns = convolution.weight[0].numel() + 1
    return (convolution, pool) if unknowns * (unknowns + 1) // 2 <= MAX_UNKNOWNS else None


def solve_squares(
    convolution: Conv2d, pool: AveragePool | None, frames: Tensor, features: Tensor, seed: int
) -> tuple[Conv2d, int]:
    """The convolution, each filter with its bias up to sign, from `convolution`'s shapes alone.

    The number is that of the pairs that were used.
    """
    size = convolution.weight[0].numel() + 1
    first, second = torch.triu_indices(size, size)
    needed = _EQUATIONS * len(first)
    count = _pairs(needed, features)
    products = _pooled_products(convolution, pool, frames[:count], first, second)
    values = features[:count].flatten(2).transpose(1, 2).flatten(0, 1)
    chosen = _some(len(products), needed, seed)
    solution, _ = _solve(products[chosen], values[chosen])
    matrices = torch.zeros(solution.shape[1], size, size)
    matrices[:, first, second] = solution.T
    matrices = (matrices + matrices.transpose(1, 2)) / 2
    scales, directions = torch.linalg.eigh(matrices)
    roots = directions[:, :, -1] * scales[:, -1:].clamp_min(0).sqrt()
    weight = roots[:, :-1].reshape(convolution.weight.shape).contiguous()
    return replace(convolution, weight=weight, bias=roots[:, -1]), count


def _pooled_products(
    convolution: Conv2d, pool: AveragePool | None, frames: Tensor, first: Tensor, second: Tensor
) -> Tensor:
    """(positions, pairs): the means over pools of x_i x_j, i <= j, once for each of a pair's two orders."""
    windows = convolution.windows
    top, bottom, left, right = windows.padding
    padded = F.pad(frames, (left, right, top, bottom))
    rows = F.unfold(padded, windows.kernel, dilation=windows.dilation, stride=windows.stride)
    height, width = windows.outputs(*frames.shape[2:])
    patches = torch.cat([rows, torch.ones_like(rows[:, :1])], 1).reshape(len(frames), -1, height, width)
    parts = []
    for frame in patches:
        products = (frame[first] * frame[second])[None]
        pooled = products if pool is None else apply(pool, products)
        parts.append(pooled.flatten(2).transpose(1, 2)[0])
    return torch.cat(parts)


def _pairs(equations: int, features: Tensor) -> int:
    """How many frames have that many places for each channel of features."""
    return min(len(features), max(2, math.ceil(equations / math.prod(features.shape[2:]))))


def _some(available: int, wanted: int, seed: int) -> Tensor:
    return torch.randperm(available, generator=torch.Generator().manual_seed(seed))[:wanted]


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([rows, torch.ones_like(rows[:, :1])], 1)


def _solve(rows: Tensor, values: Tensor) -> tuple[Tensor, float]:
    """Least squares, (unknowns, outputs), and the relative error that remains."""
    matrix, wanted = rows.double(), values.double()
    solution = torch.linalg.lstsq(matrix, wanted, driver="gelsd").solution
    error = float((matrix @ solution - wanted).norm() / wanted.norm().clamp_min(1e-12))
    return solution.float(), error
