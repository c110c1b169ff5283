"""Plans of frames in slots: what is chosen, one encoding, and what cannot be a plan."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import numpy as np
import pytest

from pvcnn.errors import DecodeError, ParameterError
from pvcnn.he.frame_slots.blocks import blocks
from pvcnn.he.frame_slots.parameters import FLOODING_BITS, plan
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.tiling import tilings
from pvcnn.he.primes import MODULUS_BUDGET, transform_primes
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.windows import Windows
from tests.he.parts import block, convolution, default_part, linear, private_part, small_part


@pytest.fixture(scope="module")
def chosen() -> FrameSlotsPlan:
    return plan(default_part(), 1000)


def test_the_default_block_takes_four_tiles_of_a_thousand_frames(chosen: FrameSlotsPlan) -> None:
    assert chosen.degree == 8192
    assert (chosen.tiling.rows, chosen.tiling.columns) == (2, 2)
    assert chosen.tiling.input_shape == (1, 34, 34)
    assert chosen.tiling.output_shape == (8, 8, 8)
    assert sum(chosen.chain_bits) <= MODULUS_BUDGET[8192]
    assert chosen.flooding_bits >= FLOODING_BITS
    assert [key.element for key in chosen.keys] == [0]  # none of a rotation
    assert FrameSlotsPlan.from_bytes(chosen.to_bytes()) == chosen
    assert plan(default_part(), 1000) == chosen


@pytest.mark.parametrize(("frames", "tiles"), [(1, 256), (16, 256), (100, 32), (4096, 1), (5000, 1)])
def test_tiles_fill_the_slots(frames: int, tiles: int) -> None:
    found = plan(default_part(), frames)
    assert found.tiling.rows * found.tiling.columns == tiles
    assert found.tiling.slots <= found.slot_count


def test_frames_are_cut_only_where_one_convolution_comes_first() -> None:
    two = [*block(2, 2), convolution("second", 2, 2)]
    second = private_part((1, 8, 8), two)
    pooled_first: list[PrivateLayer] = [PrivateAveragePool.disjoint("pool", 2), convolution("filters", 2, 1)]
    pool = private_part((1, 8, 8), pooled_first)
    for private in (second, pool):
        assert len(list(tilings(blocks(private), 1, 4096))) == 1


@pytest.mark.parametrize("frames", [1, 2])
def test_cutting_and_joining_are_each_others_inverse(frames: int) -> None:
    """A block that does nothing but pool shows what each tile holds of its own."""
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 1, 1] = 1.0
    layers: list[PrivateLayer] = [
        PrivateConvolution("same", weight, np.zeros(1)),
        PrivateAveragePool.disjoint("pool", 2),
    ]
    private = private_part((1, 9, 12), layers)
    pixels = np.random.default_rng(0).normal(size=(frames, 1, 9, 12))
    for tiling in tilings(blocks(private), frames, 4096):
        cut = tiling.cut(pixels)
        assert cut.shape == (*tiling.input_shape, tiling.slots)
        own = cut[:, 1:-1, 1:-1] if tiling.margin else cut
        channels, rows, columns, slots = own.shape
        pooled = own[:, : rows // 2 * 2].reshape(channels, rows // 2, 2, columns // 2, 2, slots).mean((2, 4))
        expected = pixels[:, :, :8].reshape(frames, 1, 4, 2, 6, 2).mean((3, 5))
        assert np.allclose(tiling.join(pooled), expected)
        if tiling.margin:
            assert not cut[:, 0, :, : tiling.columns * frames].any()  # beyond the frame
            inner = cut[0, -1, 1:-1, :frames] if tiling.rows > 1 else None
            if inner is not None:  # the next tile's first row
                below = pixels[:, 0, tiling.pitch[0], : tiling.pitch[1]]
                assert (below == inner.T).all()


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ParameterError, match="no convolution"):
        plan(private_part((1, 4, 4), [Square("square")]), 1)
    with pytest.raises(ParameterError, match="filters: no secure modulus"):
        plan(private_part((1, 16, 16), [convolution("filters", 1, 1), Square("square")], step=1e-12), 1)
    with pytest.raises(ParameterError, match="1 to 16384 frames"):
        plan(small_part(), 0)
    with pytest.raises(ParameterError, match="bounded"):
        plan(small_part(), 1, 0)
    with pytest.raises(ParameterError, match="bounded"):
        plan(small_part(), 1, 1 << 31)


@pytest.mark.parametrize(
    ("weight", "bias", "step", "bound"),
    [
        (1e300, 0.0, 1.0, 1.0),
        (1e300, 0.0, 1.0, 1e-300),
        (1.0, 1e200, 1.0, 1.0),
        (1.0, 0.0, 1.0, 1e200),
        (1.0, 0.0, 1e-300, 1.0),
        (1.0, 0.0, 1e300, 1.0),
        (0.0, 0.0, 1e-300, 1e-300),
        (1e-300, 0.0, 1e-300, 1e300),
    ],
)
def test_numbers_beyond_all_moduli_are_refused_by_name(
    weight: float, bias: float, step: float, bound: float
) -> None:
    """Not by an error of the arithmetic's."""
    filters = PrivateConvolution("filters", np.full((1, 1, 3, 3), weight), np.array([bias]))
    part = private_part((1, 4, 4), [filters, Square("square")], step=step)
    with pytest.raises(ParameterError, match=r"^filters: "):
        plan(replace(part, pixel_bound=bound), 4)


@pytest.mark.parametrize(
    "layer",
    [
        convolution("odd", 2, 2, windows=Windows.square(3, 2, 1)),
        convolution("odd", 2, 2, windows=Windows.square(3, 1, 2, 2)),
        convolution("odd", 2, 2, windows=Windows((1, 3), padding=(0, 0, 1, 1))),
        convolution("odd", 2, 2, groups=2),
        PrivateAveragePool("odd", Windows.square(3, 1, 1), 9),
        PrivateAveragePool("odd", Windows.disjoint(2), 3),
        linear("odd", 3, 72),
        PrivatePolynomial("odd", np.array([0.0, 1.0, 1.0])),
    ],
)
def test_layers_that_this_layout_does_not_take_are_named(layer: PrivateLayer) -> None:
    with pytest.raises(ParameterError, match="odd: frames in slots"):
        plan(private_part((1, 6, 6), [convolution("first", 2, 1), layer]), 1)


def test_plans_that_do_not_fit_together_are_refused(chosen: FrameSlotsPlan) -> None:
    tiling = chosen.tiling
    wrong = [
        {"moduli": transform_primes(8192, (60, 60, 60, 60))},
        {"degree": 4096},
        {"scale_bits": 0},
        {"answer_scale": float("nan")},
        {"answer_scale": chosen.answer_scale * 2**10},
        {"pixel_bound": 0.0},
        {"feature_limit": 0},
        {"output_shape": (8, 16, 15)},
        {"input_shape": (1, 63, 64)},
        {"input_shape": (2, 64, 64)},
        {"tiling": replace(tiling, frames=1025)},
        {"tiling": replace(tiling, frames=0)},
        {"tiling": replace(tiling, pitch=(31, 32))},
        {"tiling": replace(tiling, margin=0)},
        {"tiling": replace(tiling, output_shape=(8, 4, 8))},
    ]
    for fields in wrong:
        with pytest.raises(ParameterError):
            replace(chosen, **fields)  # type: ignore[arg-type]


def test_hostile_bytes_are_no_plan(chosen: FrameSlotsPlan) -> None:
    data = chosen.to_bytes()
    fields = cbor2.loads(data)
    hostile = [
        b"",
        data[:-1],
        data + b"\0",
        cbor2.dumps(fields | {"more": 1}, canonical=True),
        cbor2.dumps(fields | {"version": 2}, canonical=True),
        cbor2.dumps(fields | {"tiles": [2]}, canonical=True),
        cbor2.dumps(fields | {"tiles": [4, 4]}, canonical=True),
        cbor2.dumps(fields | {"moduli": [3, 5, 7]}, canonical=True),
        cbor2.dumps(fields | {"answer_scale": b"\0" * 7}, canonical=True),
        cbor2.dumps(fields | {"blocks": [{}]}, canonical=True),
        *(cbor2.dumps({k: v for k, v in fields.items() if k != name}, canonical=True) for name in fields),
    ]
    for bad in hostile:
        with pytest.raises(DecodeError):
            FrameSlotsPlan.from_bytes(bad)
