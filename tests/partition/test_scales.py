"""Scales, ties and tables by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.partition.float_graph.activations import Activation
from pvcnn.partition.float_graph.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv2d,
    FloatGraph,
    FloatLayer,
    FloatNode,
    MaxPool,
    Multiply,
)
from pvcnn.partition.quantisation import scales, tables
from pvcnn.partition.quantisation.accumulators import find_accumulators, with_own_scales, without_batch_norms
from pvcnn.partition.quantisation.rounding import finest_scale, integer_layer, round_weights
from pvcnn.partition.quantisation.ties import find_ties
from pvcnn.program.layers import MAX_MULTIPLIER, MAX_SHIFT, Convolution
from pvcnn.program.windows import Windows

sizes = st.floats(1e-6, 1e6)


def convolution(name: str, inputs: int, outputs: int, groups: int = 1) -> Conv2d:
    weight = torch.randn(outputs, inputs // groups, 1, 1, dtype=torch.float64)
    return Conv2d(name, weight, torch.zeros(outputs, dtype=torch.float64), Windows.square(1), groups)


def graph(*nodes: tuple[FloatLayer, tuple[int, ...]]) -> FloatGraph:
    return FloatGraph((2, 4, 4), tuple(FloatNode(*node) for node in nodes))


@given(step=sizes, others=st.lists(sizes, min_size=1, max_size=3), adjustable=st.booleans())
def test_commensurable_scales(step: float, others: list[float], adjustable: bool) -> None:
    """Within tolerance, unless that takes multipliers that are too large; never much coarser than asked."""
    fine, halvings = scales.commensurable(step, others, MAX_SHIFT, adjustable)
    assert 0 <= halvings <= MAX_SHIFT
    assert step / 2**halvings * (1 - 1e-9) <= fine <= step / 2**halvings * 1.126
    ratios = [other / fine for other in others]
    assert all(abs(round(r) - r) <= scales.TOLERANCE * r for r in ratios) or (
        2 * max(ratios) >= MAX_MULTIPLIER or halvings == MAX_SHIFT
    )


@given(finest=sizes, level=sizes, other=st.floats(1e-3, 1e3))
def test_tables_reach_their_levels(finest: float, level: float, other: float) -> None:
    """No calibrated value saturates, whatever is added to what."""
    profile, limits = np.array([1.0, 0.5]), np.array([level, level / 4])
    weights = np.array([finest, finest / 3])
    choice = scales.in_proportion(profile, weights, limits, [other * finest])
    assert scales.are_reached(limits, choice)
    assert (choice.scale * MAX_MULTIPLIER >= other * finest * profile * (1 - 1e-9)).all()
    assert scales.are_reached(limits, scales.free(weights, limits, None))
    assert (scales.free(weights, limits, None).scale >= weights).all()


@given(finest=st.lists(sizes, min_size=4, max_size=4), step=sizes)
def test_uniform_scales_are_fractions_of_a_power_of_two(finest: list[float], step: float) -> None:
    choice = scales.uniform(np.array(finest), step, [])
    assert len(set(choice.scale)) == 1
    domain = choice.scale[0] * 2.0**choice.shift
    assert np.log2(domain) == round(np.log2(domain))
    assert domain >= step
    assert choice.scale[0] * 2**choice.spare_bits >= max(finest) * (1 - 1e-9)
    assert 0 <= choice.spare_bits <= scales.SPARE_BITS


def test_capped_scales() -> None:
    """No channel may saturate above the cap; where weights lack the bits for that, all of it is refused."""
    finest, levels = np.array([1.0, 1.0, 6.0]) * 1e-4, np.array([4.0, 1.0, 1.0])
    choice = scales.free(finest, levels, cap=6.0)
    assert (choice.scale * (tables.ACTIVATION_PEAK << choice.shift) <= 6.0 * (1 + 1e-9)).all()
    assert scales.are_reached(levels, choice)
    with pytest.raises(scales.OverCap):
        scales.free(finest * np.array([1, 1, 1e4]), levels, cap=6.0)


def test_multiples() -> None:
    assert scales.is_multiple(np.array([6.0, 3.0, 0.0]), np.array([2.0, 1.0, 1.0]))
    assert not scales.is_multiple(np.array([6.0, 4.0]), np.array([2.0, 1.0]))
    assert not scales.is_multiple(np.array([3.0]), np.array([2.0]))
    assert not scales.is_multiple(np.array([1e6]), np.array([1.0]))
    assert scales.proportion(np.zeros(2), np.ones(2)) == 0.0


def test_sums_tie_channels_and_joints_carry_ties_on() -> None:
    tied = graph(
        (convolution("a", 2, 2), (0,)),
        (Activation("relu", "relu"), (1,)),
        (convolution("b", 2, 2), (2,)),
        (Add("sum", (1.0, 1.0)), (2, 3)),
        (MaxPool("pool", Windows.disjoint(2)), (4,)),
        (convolution("c", 2, 1), (5,)),
        (Concatenate("cat"), (6, 5)),
        (Activation("sigmoid", "sigmoid"), (7,)),
        (convolution("last", 3, 1), (8,)),
    )
    ties = find_ties(find_accumulators(tied), {1})
    # The sigmoid wants one scale for all that was put together, and so for all in front of it.
    assert len({label for number in (1, 2, 3, 4, 5, 6, 7) for label in ties.labels[number]}) == 1
    assert len(set(ties.labels[8]) & set(ties.labels[7])) == 0
    assert ties.is_shared(2)
    assert not ties.is_shared(8)
    free = graph(
        (convolution("a", 2, 2), (0,)), (Activation("relu", "relu"), (1,)), (convolution("b", 2, 1), (2,))
    )
    ties = find_ties(find_accumulators(free), {1})
    assert len(set(ties.labels[2])) == 2
    assert not ties.is_shared(2)


def test_where_accumulators_end() -> None:
    flowing = graph(
        (convolution("a", 2, 2), (0,)),
        (AveragePool("mean", Windows.disjoint(2), 4), (1,)),
        (convolution("b", 2, 2), (2,)),
        (Add("half", (0.5,)), (3,)),
        (Multiply("product"), (2, 2)),
        (Add("inner", (1.0, -1.0)), (4, 5)),
        (Add("outer", (2.0, 1.0)), (6, 2)),
        (convolution("last", 2, 1), (7,)),
    )
    accumulators = find_accumulators(flowing)
    assert [accumulators.flows[number] for number in range(9)] == [
        False,
        True,
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert [accumulators.ends(number) for number in (2, 7, 8)] == [True, True, True]
    assert [(term.factor, term.number) for term in accumulators.terms(6)] == [(2.0, 4), (-2.0, 5), (1.0, 2)]


def test_a_layer_of_ones_changes_nothing() -> None:
    frames = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    summed = graph(
        (convolution("a", 2, 2), (0,)), (Add("sum", (1.0, 1.0)), (1, 0)), (convolution("b", 2, 1), (2,))
    )
    expected = summed.output(frames)
    for index, position in ((0, 0), (1, 0), (1, 1), (2, 0), (3, 0)):
        longer = with_own_scales(summed, index, position)
        assert len(longer.nodes) == 4
        assert torch.equal(longer.output(frames), expected)
    twice = with_own_scales(with_own_scales(summed, 1, 1), 2, 0)
    assert torch.equal(twice.output(frames), expected)


def test_batch_norms_become_affine_layers() -> None:
    frames = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    scale, shift = torch.tensor([2.0, -0.5]).double(), torch.tensor([0.1, 1.0]).double()
    normed = graph((BatchNorm("norm", scale, shift), (0,)), (Activation("act", "tanh"), (1,)))
    assert torch.allclose(without_batch_norms(normed).output(frames), normed.output(frames))


def test_rounded_weights_of_groups() -> None:
    """Each group's weights are scaled by its own inputs, and its bias corrected by its own means."""
    layer = convolution("a", 4, 6, groups=2)
    inputs, means = np.array([1.0, 0.01, 10.0, 0.0]), np.array([0.5, 0.002, 7.0, 0.0])
    outputs = finest_scale(layer, inputs, 8)
    weight, bias = round_weights(layer, inputs, outputs, means)
    assert (np.abs(weight).reshape(6, -1).max(axis=1) == 127).all()
    assert (weight[3:, 1] == 0).all()
    x = np.array([500, 200, 70, 0])  # the means, as integers; the last is always 0
    x = np.rint(np.divide(means, inputs, out=np.zeros(4), where=inputs > 0)).astype(np.int64)
    made = np.stack([weight[o, :, 0, 0] @ x[2 * (o // 3) : 2 * (o // 3) + 2] for o in range(6)]) + bias
    real = np.stack(
        [layer.weight.numpy()[o, :, 0, 0] @ (x * inputs)[2 * (o // 3) : 2 * (o // 3) + 2] for o in range(6)]
    )
    assert np.abs(made * outputs - real).max() <= 2 * outputs.max()
    made_layer = integer_layer(layer, weight, bias, 8)
    assert isinstance(made_layer, Convolution)
    assert (made_layer.groups, made_layer.in_channels, made_layer.weight_bits) == (2, 4, 8)
    assert integer_layer(layer, weight * 9, bias, 8).weight_bits == 12


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "silu", "gelu", "hardswish", "softplus", "square"])
def test_function_tables(kind: str) -> None:
    """Each entry is what the function gives for it, to within half a unit."""
    activation = Activation("a", kind, parameter=1.0)  # type: ignore[arg-type]
    step = 2.0**-7
    unit = tables.unit(activation, step * tables.DOMAIN_PEAK / tables.HEADROOM)
    table = tables.function_table(activation, step, unit)
    q = np.arange(-1024, 1024)
    exact = activation.function(torch.from_numpy(q * step)).numpy() / unit
    assert np.abs(table.values[q - table.low] - exact).max() <= 0.5 + 1e-9
    assert np.abs(exact).max() > tables.FUNCTION_PEAK / 2.1
    assert (len(table.values), table.low) == (4096, -2048)


def test_where_tables_are_clipped() -> None:
    assert tables.unsaturated(tables.activation_table(1.0)) == (-512, 511)
    assert tables.unsaturated(tables.activation_table(0.0)) == (-2048, 511)
    sigmoid = Activation("a", "silu")
    table = tables.function_table(sigmoid, 2.0**-7, tables.unit(sigmoid, 8.0))
    low, high = tables.unsaturated(table)
    assert low == -2048
    assert 1000 < high < 1100
