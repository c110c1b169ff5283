"""Windows of ONNX convolutions and pools: kernels, strides, dilations, and the four ways to pad."""

from __future__ import annotations

from dataclasses import replace

from pvcnn.partition.onnx_import.model import Node
from pvcnn.program.windows import Pair, Sides, Windows

#: What nodes with windows say about them.
WINDOW_ATTRIBUTES = frozenset({"auto_pad", "dilations", "kernel_shape", "pads", "strides"})


def windows_of(node: Node, sides: Pair, kernel: Pair | None = None) -> Windows:
    """The windows over maps of `sides` rows and columns. `kernel` is that of the weights, if there are any.

    Raises DecodeError or UnsupportedLayer naming the node.
    """
    stated = node.integers("kernel_shape")
    shape = kernel if stated is None else _pair(node, "kernel_shape", stated)
    if shape is None or kernel not in (None, shape):
        raise node.malformed(f"kernel_shape is {stated}, the weights have {kernel}")
    stride = _pair(node, "strides", node.integers("strides") or (1, 1))
    dilation = _pair(node, "dilations", node.integers("dilations") or (1, 1))
    windows = _checked(node, Windows(shape, stride, dilation=dilation))
    return grown(node, windows, _padding(node, windows, sides))


def grown(node: Node, windows: Windows, padding: Sides) -> Windows:
    """With so much more padding."""
    top, bottom, left, right = (a + b for a, b in zip(windows.padding, padding, strict=True))
    return _checked(node, replace(windows, padding=(top, bottom, left, right)))


def overhang(node: Node, windows: Windows, sides: Pair) -> Sides:
    """By how much the windows that ceil_mode adds stick out, below and right; nothing without it."""
    if not node.integer("ceil_mode", 0):
        return 0, 0, 0, 0
    added = []
    for axis, side in enumerate(sides):
        before, after = windows.padding[2 * axis : 2 * axis + 2]
        reach, stride = _reach(windows, axis), windows.stride[axis]
        last = -((side + before + after - reach) // -stride)
        if last * stride >= side + before:  # a window that would begin behind the map is dropped
            last -= 1
        added.append(max(0, last * stride + reach - (side + before + after)))
    return 0, added[0], 0, added[1]


def _padding(node: Node, windows: Windows, sides: Pair) -> Sides:
    automatic = node.text("auto_pad", "NOTSET")
    stated = node.integers("pads")
    if automatic == "NOTSET":
        if stated is None:
            return 0, 0, 0, 0
        if len(stated) != 4:
            raise node.malformed(f"pads are {stated}, must be four numbers")
        top, left, bottom, right = stated
        return top, bottom, left, right
    if stated is not None and any(stated):
        raise node.malformed("has both pads and auto_pad")
    if automatic == "VALID":
        return 0, 0, 0, 0
    if automatic not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.malformed(f"auto_pad is {automatic}")
    (top, bottom), (left, right) = (
        _same(windows, axis, side, automatic == "SAME_UPPER") for axis, side in enumerate(sides)
    )
    return top, bottom, left, right


def _same(windows: Windows, axis: int, side: int, more_behind: bool) -> Pair:
    """Padding for ceil(side / stride) outputs, an odd one out behind or before."""
    stride = windows.stride[axis]
    needed = max(0, (-(side // -stride) - 1) * stride + _reach(windows, axis) - side)
    less, more = needed // 2, needed - needed // 2
    return (less, more) if more_behind else (more, less)


def _reach(windows: Windows, axis: int) -> int:
    """Rows or columns that a window spans."""
    return windows.dilation[axis] * (windows.kernel[axis] - 1) + 1


def _pair(node: Node, what: str, numbers: tuple[int, ...]) -> Pair:
    if len(numbers) != 2:
        raise node.refuse(f"{what} is {numbers}; only rows and columns are supported, two numbers")
    return numbers[0], numbers[1]


def _checked(node: Node, windows: Windows) -> Windows:
    try:
        windows.check(node.name)
    except ValueError as error:
        raise node.refuse(str(error)) from None
    return windows
