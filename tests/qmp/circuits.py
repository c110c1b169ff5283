"""A small hand-made circuit for the proof system: a committed dot product.

    p_i = x_i w_i,  output = sum p_i,  r_i = rho p_i,  (theta - p_0) t = 1,  chi p_0 = c

with x in segment in, w in w, p in aux, and r, t, c, which depend on the challenges, in priv.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra import scalars
from pvcnn.algebra.scalars import ScalarVector
from pvcnn.qmp.system import ConstraintSystem, Segments, SparseMatrix, StageOne

ONE, RHO, THETA, CHI, OUTPUT = range(5)
PUBLIC = 5

Rows = Sequence[Mapping[int, int]]


def sparse(rows: Rows) -> SparseMatrix:
    """A matrix from {wire: coefficient} of each row."""
    starts = np.cumsum([0, *(len(row) for row in rows)])
    columns = [wire for row in rows for wire in row]
    coefficients = [value for row in rows for value in row.values()]
    return SparseMatrix(
        starts.astype(np.int64), np.array(columns, np.int32), np.array(coefficients, np.int64)
    )


class DotProduct:
    """The circuit for vectors of length n; its constraints 0 to n - 1 are the products."""

    def __init__(self, length: int = 2) -> None:
        self.length = length
        features, weights, products, shifted = (PUBLIC + k * length for k in range(4))
        inverse = shifted + length
        terms = range(length)
        a: Rows = [
            *({features + i: 1} for i in terms),
            {products + i: 1 for i in terms},
            *({RHO: 1} for _ in terms),
            {inverse: 1},
            {CHI: 1},
        ]
        b: Rows = [
            *({weights + i: 1} for i in terms),
            {ONE: 1},
            *({products + i: 1} for i in terms),
            {THETA: 1, products: -1},
            {products: 1},
        ]
        c: Rows = [
            *({products + i: 1} for i in terms),
            {OUTPUT: 1},
            *({shifted + i: 1} for i in terms),
            {ONE: 1},
            {inverse + 1: 1},
        ]
        segments = Segments(PUBLIC, length, length, length, length + 2)
        self.system = ConstraintSystem(segments, sparse(a), sparse(b), sparse(c))

    def stage_one(self, features: NDArray[np.int64], weights: NDArray[np.int64]) -> StageOne:
        """The honest witness; the dot product must not be negative, since outputs are not."""
        products = features * weights
        return StageOne(np.array([products.sum()]), features, weights, products)

    def second_stage(
        self, stage_one: StageOne, challenges: tuple[int, int, int], derived: ScalarVector
    ) -> ScalarVector:
        rho, theta, chi = challenges
        aux: NDArray[Any] = stage_one.aux
        products = scalars.from_int64(aux) if aux.dtype == np.int64 else aux
        first = scalars.to_integers(products[:1])[0]
        inverse = scalars.inverse(scalars.from_integers([theta - first]))
        return np.concatenate([scalars.scale(products, rho), inverse, scalars.from_integers([chi * first])])


class LabelledDotProduct(DotProduct):
    """The dot product of features and labels: what are weights above lie in segment lab here."""

    def __init__(self, length: int = 2) -> None:
        super().__init__(length)
        segments = Segments(PUBLIC, length, 0, length, length + 2, length)
        self.system = replace(self.system, segments=segments)

    def stage_one(self, features: NDArray[np.int64], labels: NDArray[np.int64]) -> StageOne:
        stage_one = super().stage_one(features, labels)
        return replace(stage_one, w=stage_one.w[:0], lab=labels)


FEATURES = np.array([3, -4], np.int64)
WEIGHTS = np.array([5, -6], np.int64)
WEIGHTS_BLINDING = 0x1234567890ABCDEF
