"""The public part: a program and its weights, as the exact function that is proved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.inference import trace
from pvcnn.program.program import Program
from pvcnn.program.weights import Weights


@dataclass(frozen=True, eq=False)
class PublicPart:
    """From integer features to decisions. Raises ValueError if the weights are of another program."""

    program: Program
    weights: Weights

    def __post_init__(self) -> None:
        if self.weights.program != self.program:
            raise ValueError("the weights belong to another program")

    def __call__(self, features: NDArray[np.int64]) -> NDArray[np.int64]:
        """Decisions, 0 or 1, (N,) int64, of integer features (N, *program.input_shape).

        Raises ValueError for another shape or type and RangeError for a value outside its range.
        """
        return trace(self.program, self.weights, features).decisions
