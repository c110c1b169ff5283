"""Windows of convolutions and pools: which rows and columns of its input an output looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Of rows and of columns.
Pair: TypeAlias = tuple[int, int]
#: Above, below, left and right.
Sides: TypeAlias = tuple[int, int, int, int]

#: Kernels, strides, paddings and dilations.
MAX_WINDOW = 255


@dataclass(frozen=True)
class Windows:
    """Output (i, j) meets the rows stride[0] i + dilation[0] d - top for d < kernel[0], columns likewise.

    What lies outside the input is padding. `padding` is top, bottom, left, right; as many outputs are
    made as windows fit between, and rows and columns left over are dropped.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def square(cls, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Windows:
        """The same for rows and columns."""
        return cls((size, size), (stride, stride), (padding,) * 4, (dilation, dilation))

    @classmethod
    def disjoint(cls, size: int) -> Windows:
        """Squares side by side, as pools have them by default."""
        return cls.square(size, size)

    def check(self, name: str) -> None:
        """Raises ValueError, naming the layer `name`, for a number beyond its limits."""
        for what, numbers, count, low in (
            ("kernel", self.kernel, 2, 1),
            ("stride", self.stride, 2, 1),
            ("padding", self.padding, 4, 0),
            ("dilation", self.dilation, 2, 1),
        ):
            if len(numbers) != count or not all(low <= number <= MAX_WINDOW for number in numbers):
                raise ValueError(
                    f"{name}: {what} is {numbers}, must be {count} numbers in [{low}, {MAX_WINDOW}]"
                )

    @property
    def size(self) -> int:
        """Entries of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def is_padded(self) -> bool:
        return any(self.padding)

    def outputs(self, height: int, width: int) -> Pair:
        """How many windows there are down and across; less than 1 if none fits."""
        top, bottom, left, right = self.padding
        rows, columns = (
            (side + around - self.dilation[axis] * (self.kernel[axis] - 1) - 1) // self.stride[axis] + 1
            for axis, side, around in ((0, height, top + bottom), (1, width, left + right))
        )
        return rows, columns

    def met(self, axis: int, outputs: int, side: int) -> NDArray[np.int64]:
        """(outputs, kernel): the row (axis 0) or column (1) that each output meets; -1 for padding."""
        before = self.padding[2 * axis]
        steps = self.dilation[axis] * np.arange(self.kernel[axis], dtype=np.int64)
        places = self.stride[axis] * np.arange(outputs, dtype=np.int64)[:, None] + steps - before
        return np.where((places >= 0) & (places < side), places, -1)

    def has_bare_padding(self, axis: int, outputs: int, side: int) -> bool:
        """Whether some output meets padding alone along `axis`, as `met` would say.

        Looks at no more than the few windows that begin or end outside: `outputs` may be huge.
        """
        before, stride, dilation = self.padding[2 * axis], self.stride[axis], self.dilation[axis]
        reach = dilation * (self.kernel[axis] - 1)
        begin_outside = min(outputs, -(-before // stride))
        end_outside = max(begin_outside, -(-(side + before - reach) // stride))
        border = np.append(np.arange(begin_outside), np.arange(end_outside, outputs))
        places = stride * border - before
        taps_before = np.maximum(0, -(places // dilation))
        places += dilation * taps_before
        return bool(((taps_before >= self.kernel[axis]) | (places >= side)).any())
