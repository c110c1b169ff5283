"""Features to integers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pvcnn.errors import SubmissionRefused
from pvcnn.he.decryption import quantise


def test_rounding() -> None:
    features = np.array([[0.0, 0.26, -0.24, 0.74, 2.0]])
    integers = quantise(features, 0.5, -1, 4)
    assert integers.dtype == np.int64
    assert integers.tolist() == [[0, 1, 0, 1, 4]]


def test_bounds_are_inclusive() -> None:
    assert quantise(np.array([-1.0, 3.0]), 1.0, -1, 3).tolist() == [-1, 3]
    assert quantise(np.array([-0.4, 3.4]), 1.0, 0, 3).tolist() == [0, 3]


@pytest.mark.parametrize("value", [3.6, -1.6, 1e40, -1e40, 1e308, np.nan, np.inf, -np.inf])
def test_refused_without_values(value: float) -> None:
    with pytest.raises(SubmissionRefused) as refusal:
        quantise(np.array([[1.0, value]]), 1.0, -1, 3)
    assert str(refusal.value) == "the features are outside the range of the public part"
    assert "(0, 1)" in refusal.value.details
    assert repr(value).removeprefix("np.") in refusal.value.details


def test_details_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(SubmissionRefused("reason", "secret")))
    assert (str(error), error.details) == ("reason", "secret")
