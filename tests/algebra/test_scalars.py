"""Vectors over F_r against Python's integers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvcnn.algebra import scalars, threads
from pvcnn.algebra.constants import SCALAR_MODULUS as R
from pvcnn.algebra.kernels import compilation, scalar_vectors

pytestmark = pytest.mark.usefixtures("kernels")

#: Where carries, borrows and the final subtraction can go wrong.
EXTREMES = [0, 1, 2, R - 1, R - 2, R // 2, R // 2 + 1, *((1 << (64 * i)) % R for i in range(1, 5))]
EXTREMES += [(1 << 64) - 1, (1 << 128) - 1, (1 << 192) - 1, ((1 << 254) - 1), R - (1 << 64)]
#: Around the spans of one thread and the sizes that callers have.
LENGTHS = [0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 4095, 4096, 4097, 5000]

elements = st.one_of(st.sampled_from(EXTREMES), st.integers(0, R - 1))


def sample(length: int, seed: int = 1) -> list[int]:
    """`length` elements, extremes among them."""
    rng = np.random.default_rng(seed)
    values = [int.from_bytes(rng.bytes(32), "little") % R for _ in range(length)]
    for i, extreme in enumerate(EXTREMES):
        if 3 * i < length:
            values[3 * i] = extreme
    return values


@given(st.lists(st.tuples(elements, elements), max_size=40))
@settings(deadline=None)
def test_arithmetic_agrees_with_integers(pairs: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    a, b = scalars.from_integers(left), scalars.from_integers(right)
    assert scalars.to_integers(scalars.add(a, b)) == [(x + y) % R for x, y in pairs]
    assert scalars.to_integers(scalars.subtract(a, b)) == [(x - y) % R for x, y in pairs]
    assert scalars.to_integers(scalars.multiply(a, b)) == [x * y % R for x, y in pairs]
    assert scalars.to_integers(scalars.negate(a)) == [-x % R for x in left]
    assert scalars.dot(a, b) == sum(x * y for x, y in pairs) % R
    assert scalars.is_zero(a).tolist() == [x == 0 for x in left]


def test_every_pair_of_extremes() -> None:
    pairs = [(x, y) for x in EXTREMES for y in EXTREMES]
    a, b = scalars.from_integers([x for x, _ in pairs]), scalars.from_integers([y for _, y in pairs])
    assert scalars.to_integers(scalars.multiply(a, b)) == [x * y % R for x, y in pairs]
    assert scalars.to_integers(scalars.add(a, b)) == [(x + y) % R for x, y in pairs]
    assert scalars.to_integers(scalars.subtract(a, b)) == [(x - y) % R for x, y in pairs]


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length(length: int) -> None:
    left, right = sample(length), sample(length, seed=2)
    a, b = scalars.from_integers(left), scalars.from_integers(right)
    assert a.shape == (length, 4)
    assert scalars.to_integers(a) == left
    assert scalars.to_integers(scalars.multiply(a, b)) == [
        x * y % R for x, y in zip(left, right, strict=True)
    ]
    assert scalars.dot(a, b) == sum(x * y for x, y in zip(left, right, strict=True)) % R
    factors = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, length)
    factors[:4] = [-(2**63), 2**63 - 1, 0, -1][:length]
    assert scalars.dot(a, factors) == sum(x * int(y) for x, y in zip(left, factors, strict=True)) % R
    assert scalars.to_integers(scalars.from_int64(factors)) == [int(y) % R for y in factors]
    assert scalars.to_integers(scalars.scale(a, -R - 5)) == [-5 * x % R for x in left]
    assert scalars.to_integers(scalars.powers(R - 3, length)) == [pow(-3, i, R) for i in range(length)]
    nonzero = [x or 1 for x in left]
    inverses = scalars.to_integers(scalars.inverse(scalars.from_integers(nonzero)))
    assert all(x * y % R == 1 for x, y in zip(nonzero, inverses, strict=True))


def test_integers_are_reduced() -> None:
    values = [-1, R, R + 1, -R, 1 << 300, -(1 << 300)]
    assert scalars.to_integers(scalars.from_integers(values)) == [x % R for x in values]


def test_int64_keeps_its_sign() -> None:
    values = np.array([[0, 1, -1], [2**63 - 1, -(2**63), -(2**32)]], np.int64)
    assert scalars.to_integers(scalars.from_int64(values)) == [int(x) % R for x in values.reshape(-1)]
    assert scalars.to_integers(scalars.from_int64(values.T)) == [int(x) % R for x in values.T.reshape(-1)]
    with pytest.raises(ValueError, match="int64"):
        scalars.from_int64(np.zeros(3, np.int32))


def test_sums_of_the_largest_products_do_not_overflow() -> None:
    """10,000 times (r - 1)^2, and 2^63 (r - 1) of either sign."""
    largest = scalars.from_integers([-1] * 10_000)
    assert scalars.dot(largest, largest) == 10_000
    for factor in (-(2**63), 2**63 - 1):
        assert scalars.dot(largest, np.full(10_000, factor)) == -10_000 * factor % R


def test_inverse_of_zero_is_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="element 4"):
        scalars.inverse(scalars.from_integers([1, 2, 3, 4, 0, 6]))


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 5000), (3, 7), (5, 1000), (4, 0), (700, 9)])
def test_horner_sums_every_row(rows: int, length: int) -> None:
    values, base = sample(rows * length), 123456789
    sums = scalars.to_integers(scalars.horner(scalars.from_integers(values), base, rows))
    expected = []
    for row in range(rows):
        total = 0
        for value in values[row * length : (row + 1) * length]:
            total = (total * base + value) % R
            expected.append(total)
    assert sums == expected


def test_horner_refuses_ragged_rows() -> None:
    with pytest.raises(ValueError, match="rows"):
        scalars.horner(scalars.zeros(7), 2, 2)
    with pytest.raises(ValueError, match="rows"):
        scalars.horner(scalars.zeros(7), 2, 0)


def test_random_scalars_are_reduced_and_differ() -> None:
    values = scalars.to_integers(scalars.random(1000))
    assert len(set(values)) == 1000
    # Uniform on [0, r): the top bits take every value they can.
    assert {value >> 252 for value in values} == set(range(8))


def test_arguments_are_left_alone_and_may_be_read_only() -> None:
    a = scalars.from_integers(sample(100))
    before = a.copy()
    a.flags.writeable = False
    for operation in (scalars.add, scalars.subtract, scalars.multiply):
        operation(a, a)
    scalars.inverse(scalars.scale(scalars.powers(3, 100), 2))
    scalars.horner(a, 5, 4)
    assert (a == before).all()


def test_strided_vectors_are_accepted() -> None:
    values = sample(50)
    a = scalars.from_integers(values)
    assert scalars.to_integers(scalars.add(a[::2], a[::-2])) == [
        (x + y) % R for x, y in zip(values[::2], values[::-2], strict=True)
    ]


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 4), np.int64), np.zeros((3, 5), np.uint64), np.zeros(4, np.uint64)]
)
def test_other_arrays_are_refused(wrong: scalars.ScalarVector) -> None:
    with pytest.raises(ValueError, match="not a vector of scalars"):
        scalars.negate(wrong)


def test_different_lengths_are_refused() -> None:
    for operation in (scalars.add, scalars.multiply, scalars.dot):
        with pytest.raises(ValueError, match="lengths"):
            operation(scalars.zeros(3), scalars.zeros(4))


def test_threads_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    a = scalars.from_integers(sample(9001))
    results = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("PVCNN_THREADS", count)
        assert threads.thread_count() == int(count)
        results.append(scalars.multiply(a, scalars.powers(7, 9001)))
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()
    monkeypatch.setenv("PVCNN_THREADS", "none")
    with pytest.raises(ValueError, match="PVCNN_THREADS"):
        threads.thread_count()


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 100])
def test_spans_cover_everything_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCNN_THREADS", "3")
    spans = threads.spans(count, 2)
    assert [i for start, stop in spans for i in range(start, stop)] == list(range(count))
    assert len(spans) == 1 or all(stop - start >= 2 for start, stop in spans)


def test_errors_in_threads_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCNN_THREADS", "2")

    def fail() -> int:
        raise ArithmeticError("in a thread")

    with pytest.raises(ArithmeticError, match="in a thread"):
        threads.run([lambda: 1, fail])


def test_cached_machine_code_knows_all_kernel_sources() -> None:
    """Numba's stamp covers one file only; a changed field would leave its callers' old code in use."""
    stamp = scalar_vectors.multiply_vectors._cache._cache_file._source_stamp  # type: ignore[attr-defined]
    assert stamp[-1] == compilation.SOURCES_DIGEST


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from functools import partial
from importlib import import_module
from pvcnn.algebra import scalars
from pvcnn.errors import DependencyMissing
modules = [partial(import_module, f"pvcnn.algebra.{name}") for name in ("curve", "ntt", "sparse")]
for action in (partial(scalars.from_integers, [1]), *modules):
    try:
        action()
    except DependencyMissing as error:
        assert "numba" in str(error) and "pvcnn[prover]" in str(error), error
    else:
        raise AssertionError("numba was not missed")
"""


def test_without_numba_the_type_remains_and_operations_name_the_remedy() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_NUMBA], check=True)
