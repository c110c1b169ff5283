"""ONNX operators over windows and whole maps, without weights; and zeros around maps."""

from __future__ import annotations

from dataclasses import replace

from pvcnn.partition.float_graph.graph import AveragePool, Flatten, MaxPool
from pvcnn.partition.onnx_import.model import Node
from pvcnn.partition.onnx_import.values import Signal, Translation, Value
from pvcnn.partition.onnx_import.windows import grown, overhang, windows_of
from pvcnn.program.windows import MAX_WINDOW, Windows


def max_pool(translation: Translation, node: Node) -> Value:
    if node.integer("storage_order", 0):
        raise node.refuse("storage_order is not supported; export with storage_order=0")
    number = translation.signal(node)
    sides = translation.map_shape(node, Signal(number))
    windows = windows_of(node, sides)
    windows = grown(node, windows, overhang(node, windows, sides))
    return translation.add(MaxPool(node.name, windows), number)


def average_pool(translation: Translation, node: Node) -> Value:
    """Every window has the same divisor, or the node is refused."""
    signal = translation.padded_signal(node)
    sides = translation.map_shape(node, signal)
    windows = windows_of(node, sides)
    if any(overhang(node, windows, sides)):
        raise node.refuse("has windows that reach beyond the map; export with ceil_mode=0")
    if windows.is_padded and not node.integer("count_include_pad", 0):
        raise node.refuse("leaves padding out of its averages; export with count_include_pad=1")
    pool = AveragePool(node.name, grown(node, windows, signal.padding), windows.size)
    return translation.add(pool, signal.number)


def global_average_pool(translation: Translation, node: Node) -> Value:
    number = translation.signal(node)
    windows = _whole_map(translation, node, number)
    return translation.add(AveragePool(node.name, windows, windows.size), number)


def global_max_pool(translation: Translation, node: Node) -> Value:
    number = translation.signal(node)
    return translation.add(MaxPool(node.name, _whole_map(translation, node, number)), number)


def mean(translation: Translation, node: Node) -> Value:
    """ReduceMean over rows and columns."""
    translation.map_shape(node, translation.padded_signal(node))
    stated = translation.integers(node, 1) if translation.has(node, 1) else node.integers("axes") or ()
    if sorted(node.axis(axis, 4) for axis in stated) != [2, 3]:
        raise node.refuse(f"goes over the axes {stated}; means are supported over rows and columns, (2, 3)")
    pooled = global_average_pool(translation, node)
    if node.integer("keepdims", 1):
        return pooled
    assert isinstance(pooled, Signal)
    return translation.add(Flatten(f"{node.name}.flatten"), pooled.number)


def pad(translation: Translation, node: Node) -> Value:
    """Zeros around the map, which the convolution or average behind it takes over."""
    if node.text("mode", "constant") != "constant":
        raise node.refuse("does not pad with zeros; use mode 'constant'")
    if translation.has(node, 2) and translation.number(node, 2) != 0:
        raise node.refuse("pads with another number than 0")
    signal = translation.padded_signal(node)
    translation.map_shape(node, signal)
    pads = translation.integers(node, 1)
    stated = translation.integers(node, 3) if translation.has(node, 3) else (0, 1, 2, 3)
    axes = [node.axis(axis, 4) for axis in stated]
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise node.malformed(f"has {len(pads)} pads for the axes {stated}")
    before = dict(zip(axes, pads[: len(axes)], strict=True))
    after = dict(zip(axes, pads[len(axes) :], strict=True))
    if any(before.get(axis) or after.get(axis) for axis in (0, 1)):
        raise node.refuse("pads frames or channels; only rows and columns can be padded")
    wanted = (before.get(2, 0), after.get(2, 0), before.get(3, 0), after.get(3, 0))
    top, bottom, left, right = (old + new for old, new in zip(signal.padding, wanted, strict=True))
    if not all(0 <= side <= MAX_WINDOW for side in (*wanted, top, bottom, left, right)):
        raise node.refuse(f"pads by {wanted}, must be in [0, {MAX_WINDOW}]")
    return replace(signal, padding=(top, bottom, left, right))


def _whole_map(translation: Translation, node: Node, number: int) -> Windows:
    rows, columns = translation.map_shape(node, Signal(number))
    if max(rows, columns) > MAX_WINDOW:
        raise node.refuse(f"goes over {rows}x{columns}; at most {MAX_WINDOW} rows and columns are supported")
    return Windows((rows, columns), (rows, columns))
