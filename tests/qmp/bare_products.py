"""Products by themselves under each lowering that they have."""

from __future__ import annotations

import pytest

from pvcnn.bench.products import ConvolutionShape, MatrixShape, ProductShape
from pvcnn.program.windows import Windows
from pvcnn.qmp.lowering_plan import Lowering

#: All but the choice among them.
PURE = (Lowering.QMP, Lowering.QPP, Lowering.QAP, Lowering.IM2COL)
SHAPES: dict[str, ProductShape] = {
    "matrices": MatrixShape(4, 3, 5),
    "convolution": ConvolutionShape(2, 3, 5),
    "stride": ConvolutionShape(2, 3, 7, Windows.square(5, 2, 2)),
    "groups": ConvolutionShape(4, 6, 6, Windows.square(2, 2, 1, 3), 2),
    "rectangles": ConvolutionShape(4, 6, 6, Windows((3, 2), (1, 2), (0, 1, 2, 0), (2, 3)), 2),
    "depthwise": ConvolutionShape(3, 3, 5, groups=3),
}


def lowerings_of(shape: ProductShape) -> tuple[Lowering, ...]:
    """Those that prove a product of this kind in a way of their own."""
    return PURE if isinstance(shape, ConvolutionShape) else (Lowering.QMP, Lowering.QAP)


each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_product = pytest.mark.parametrize(
    ("shape", "lowering"),
    [
        pytest.param(shape, lowering, id=f"{name}-{lowering.value}")
        for name, shape in SHAPES.items()
        for lowering in lowerings_of(shape)
    ],
)
