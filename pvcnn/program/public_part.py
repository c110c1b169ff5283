"""The public part: a program and its weights, as the exact function that is proved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.inference import infer
from pvcnn.program.layers import Logits
from pvcnn.program.program import Program
from pvcnn.program.weights import Weights


@dataclass(frozen=True, eq=False)
class PublicPart:
    """From integer features, and labels if it takes them, to outputs.

    `published`: whether the weights are known to everybody, as coefficients of the circuit, or committed.
    Raises ValueError if the weights are of another program.
    """

    program: Program
    weights: Weights
    published: bool = False

    def __post_init__(self) -> None:
        if self.weights.program != self.program:
            raise ValueError("the weights belong to another program")

    def __call__(
        self, features: NDArray[np.int64], labels: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """The outputs, int64, for integer features (N, *program.input_shape).

        (N,) for programs that end with Sign (0 or 1) or Argmax (a class); (N, logits) for Logits; for
        Correct, which alone takes labels (N,), their number (1,) that decisions agree with.

        Raises ValueError for another shape or type and RangeError for a value outside its range.
        """
        outputs = infer(self.program, self.weights, features, labels)
        return outputs if isinstance(self.program.output, Logits) else outputs[:, 0]
