"""Convolutions and pools, as torch describes them, to layers with `Windows`.

Nothing is approximated: a setting that windows cannot express is refused with the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn

from pvcnn.partition.float_graph.graph import AveragePool, Conv2d, Flatten, MaxPool
from pvcnn.partition.float_graph.place import Layers, Place, Setting
from pvcnn.program.windows import Pair, Sides, Windows

#: One number for both axes, or one for each.
Sizes: TypeAlias = int | Sequence[int]


def convolution_module(place: Place, module: nn.Conv2d) -> Layers:
    if module.padding_mode != "zeros":
        raise Setting(f"padding_mode={module.padding_mode!r} is not supported; use 'zeros'")
    return convolution(
        place,
        module.weight.detach(),
        None if module.bias is None else module.bias.detach(),
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )


def convolution(
    place: Place,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Layers:
    place.maps()
    kernel, spread = pair(weight.shape[2:], "kernel_size"), pair(dilation, "dilation")
    own = _named_padding(padding, kernel, spread) if isinstance(padding, str) else _both_sides(padding)
    windows = _windows(place, kernel, stride, _sum(own, place.padding), spread)
    if bias is None:
        bias = torch.zeros(weight.shape[0], dtype=weight.dtype)
    return (Conv2d(place.name, weight, bias, windows, groups),)


def max_pool(
    place: Place,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layers:
    if return_indices:
        raise Setting("return_indices is not supported")
    windows = _pool_windows(place, kernel_size, stride, padding, dilation)
    if ceil_mode:  # padding does not count in a maximum, so what ceil_mode adds can be written as padding
        windows = _with_padding(windows, _sum(windows.padding, _added_by_ceil_mode(place, windows)))
    return (MaxPool(place.name, windows),)


def average_pool_module(place: Place, module: nn.AvgPool2d) -> Layers:
    return average_pool(
        place,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    )


def average_pool(
    place: Place,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layers:
    own = _both_sides(padding)
    if any(own) and not count_include_pad and divisor_override is None:
        raise Setting(
            f"padding={padding} with count_include_pad=False divides by another number at every border; "
            "use padding=0 or count_include_pad=True"
        )
    windows = _pool_windows(place, kernel_size, stride, padding, 1)
    if ceil_mode and any(_added_by_ceil_mode(place, windows)):
        raise Setting(
            "ceil_mode=True averages over parts of windows here; use ceil_mode=False, or a kernel and a "
            f"stride that divide {place.shape[1]}x{place.shape[2]} evenly"
        )
    return (AveragePool(place.name, windows, divisor_override or windows.size),)


def adaptive_average_pool(place: Place, output_size: int | Sequence[int | None] | None) -> Layers:
    windows = _adaptive_windows(place, output_size)
    return (AveragePool(place.name, windows, windows.size),)


def adaptive_max_pool(
    place: Place, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Layers:
    if return_indices:
        raise Setting("return_indices is not supported")
    return (MaxPool(place.name, _adaptive_windows(place, output_size)),)


def mean(place: Place, dim: Sizes | None = None, keepdim: bool = False, *, dtype: None = None) -> Layers:
    """Over all rows and columns."""
    windows = _whole_map(place, dim)
    return _perhaps_flat(place, AveragePool(place.name, windows, windows.size), keepdim)


def amax(place: Place, dim: Sizes | None = None, keepdim: bool = False) -> Layers:
    """Over all rows and columns."""
    return _perhaps_flat(place, MaxPool(place.name, _whole_map(place, dim)), keepdim)


def pair(sizes: Sizes, what: str) -> Pair:
    """3, (3,) and (3, 3) are the same."""
    numbers = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if len(numbers) not in (1, 2) or not all(isinstance(number, int) for number in numbers):
        raise Setting(f"{what} is {sizes}, must be one or two whole numbers")
    return int(numbers[0]), int(numbers[-1])


def _both_sides(padding: Sizes) -> Sides:
    rows, columns = pair(padding, "padding")
    return rows, rows, columns, columns


def _named_padding(padding: str, kernel: Pair, dilation: Pair) -> Sides:
    if padding == "valid":
        return 0, 0, 0, 0
    down, across = (spread * (size - 1) for size, spread in zip(kernel, dilation, strict=True))
    return down // 2, down - down // 2, across // 2, across - across // 2


def _sum(a: Sides, b: Sides) -> Sides:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def _windows(place: Place, kernel: Pair, stride: Sizes, padding: Sides, dilation: Pair) -> Windows:
    windows = Windows(kernel, pair(stride, "stride"), padding, dilation)
    try:
        windows.check(place.name)
    except ValueError as error:
        raise Setting(f"is too large: {error}") from None
    return windows


def _with_padding(windows: Windows, padding: Sides) -> Windows:
    return Windows(windows.kernel, windows.stride, padding, windows.dilation)


def _pool_windows(
    place: Place, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes
) -> Windows:
    place.maps()
    kernel = pair(kernel_size, "kernel_size")
    step = kernel if stride is None or stride in ((), []) else stride
    around = _sum(_both_sides(padding), place.padding)
    return _windows(place, kernel, step, around, pair(dilation, "dilation"))


def _added_by_ceil_mode(place: Place, windows: Windows) -> Sides:
    """By how much more padding, below and right, ceil_mode's extra windows stick out."""
    added = []
    for axis, side in enumerate(place.maps()):
        before, after = windows.padding[2 * axis : 2 * axis + 2]
        reach = windows.dilation[axis] * (windows.kernel[axis] - 1) + 1
        stride = windows.stride[axis]
        last = -((side + before + after - reach) // -stride)
        if last * stride >= side + before:  # torch drops a window that would begin behind the map
            last -= 1
        added.append(max(0, last * stride + reach - (side + before + after)))
    return 0, added[0], 0, added[1]


def _adaptive_windows(place: Place, output_size: int | Sequence[int | None] | None) -> Windows:
    """Output i of n looks at rows floor(i side / n) to ceil((i + 1) side / n), as torch has it."""
    sides = place.maps()
    wanted = tuple(output_size) if isinstance(output_size, list | tuple) else (output_size, output_size)
    sizes, steps = [], []
    for side, number in zip(sides, wanted, strict=True):
        outputs = side if number is None else int(number)
        starts = [i * side // outputs for i in range(outputs)]
        lengths = {-((i + 1) * side // -outputs) - start for i, start in enumerate(starts)}
        strides = {later - earlier for earlier, later in pairwise(starts)}
        if len(lengths) != 1 or len(strides) > 1 or strides == {0}:
            raise Setting(
                f"makes windows of different sizes of {sides[0]}x{sides[1]}; choose an output_size that "
                "divides both, such as 1"
            )
        sizes.append(lengths.pop())
        steps.append(strides.pop() if strides else side)
    return _windows(place, (sizes[0], sizes[1]), (steps[0], steps[1]), (0, 0, 0, 0), (1, 1))


def _whole_map(place: Place, dim: Sizes | None) -> Windows:
    height, width = place.maps()
    axes = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if {axis % 4 for axis in axes} != {2, 3}:
        raise Setting(f"goes over the axes {dim}; use dim=(2, 3)")
    return _windows(place, (height, width), (height, width), (0, 0, 0, 0), (1, 1))


def _perhaps_flat(place: Place, pool: AveragePool | MaxPool, keepdim: bool) -> Layers:
    return (pool,) if keepdim else (pool, Flatten(f"{place.name}.flatten"))
