"""Frames in slots against the same layers in float64, and what an answer shows besides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.errors import ParameterError, SubmissionRefused
from pvcnn.he.frame_slots.evaluation import BatchEvaluator
from pvcnn.he.frame_slots.parameters import ROUNDING_FRACTION, plan
from pvcnn.he.frame_slots.processes import ParallelEvaluator, encrypt_batch
from pvcnn.he.frame_slots.rows import feature_rows, read_row
from pvcnn.he.precision import TAIL
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    Square,
    private_evaluate,
)
from pvcnn.program.windows import Windows
from tests.he.frame_slots.roles import SEED, BatchRoles, random_frames
from tests.he.parts import block, convolution, private_part, small_part

POOL_FIRST: list[PrivateLayer] = [
    PrivateAveragePool.disjoint("pool", 2),
    convolution("filters", 2, 1),
    Square("a"),
]
TWO_BLOCKS: list[PrivateLayer] = [
    convolution("first", 2, 1),
    Square("square1"),
    PrivateAveragePool.disjoint("pool1", 2),
    convolution("second", 2, 2, seed=1),
    Square("square2"),
    PrivateAveragePool.disjoint("pool2", 2),
]


def error_in_steps(roles: BatchRoles, frames: NDArray[np.float64], answer: Sequence[bytes]) -> float:
    features = roles.decryptor.features(answer)
    return float(
        np.abs(features - private_evaluate(roles.private, frames)).max() / roles.private.feature_step
    )


def test_the_answer_holds_the_features_to_less_than_a_quarter_of_a_step(
    batch: BatchRoles, frames: NDArray[np.float64], answer: list[bytes]
) -> None:
    assert batch.plan.tiling.rows * batch.plan.tiling.columns > 1
    assert error_in_steps(batch, frames, answer) < 1 / 4


@pytest.mark.parametrize(
    "private",
    [
        private_part((1, 4, 4), [convolution("only", 2, 1)]),
        private_part((2, 7, 5), [convolution("filters", 2, 2), Square("a"), Square("b")]),
        private_part((1, 9, 6), [*block(2, 2), PrivateAveragePool.disjoint("again", 2)]),
        private_part((1, 6, 4), POOL_FIRST),
        private_part((1, 6, 6), [convolution("linear", 2, 1), PrivateAveragePool.disjoint("pool", 3)]),
        private_part((1, 4, 4), TWO_BLOCKS, step=2e-2),
        private_part((1, 7, 6), [convolution("valid", 2, 1, windows=Windows.square(2)), Square("a")]),
    ],
    ids=["linear", "fourth-powers", "pools", "pool-first", "linear-pool", "two-blocks", "unpadded"],
)
def test_chains_of_other_kinds(private: PrivatePart) -> None:
    roles = BatchRoles.of(private, 3)
    frames = random_frames(roles.plan)
    answer = list(roles.evaluator.rows(list(roles.encryptor.rows(frames)), SEED))
    assert error_in_steps(roles, frames, answer) < 1 / 4


def test_a_filter_of_zeros_is_evaluated_like_any_other() -> None:
    weight = np.zeros((2, 1, 3, 3))
    weight[1] = 0.25
    filters = PrivateConvolution("filters", weight, np.array([0.5, 0.0]))
    roles = BatchRoles.of(private_part((1, 4, 4), [filters, Square("square")]), 2)
    frames = random_frames(roles.plan)
    answer = list(roles.evaluator.rows(list(roles.encryptor.rows(frames)), SEED))
    assert error_in_steps(roles, frames, answer) < 1 / 4


def test_evaluation_noise_is_below_what_the_plan_says_and_not_by_much(
    batch: BatchRoles, frames: NDArray[np.float64], upload: list[bytes]
) -> None:
    features = batch.decryptor.features(list(batch.unhidden().rows(upload, SEED)))
    weights = batch.plan.blocks[0].weight_bits
    layers = (
        PrivateConvolution(
            "rounded",
            np.rint(batch.private.layers[0].weight * 2**weights) / 2**weights,  # type: ignore[union-attr]
            batch.private.layers[0].bias,  # type: ignore[union-attr]
        ),
        *batch.private.layers[1:],
    )
    rounded = PrivatePart(
        batch.private.input_shape,
        batch.private.pixel_bound,
        layers,
        batch.private.feature_step,
        batch.private.output_shape,
    )
    noise = features - private_evaluate(rounded, frames)
    planned = batch.plan.flooding_amplitude / 2.0**batch.plan.flooding_bits
    assert np.abs(noise).max() < planned
    assert np.std(noise) > planned / TAIL / 64
    systematic = private_evaluate(rounded, frames) - private_evaluate(batch.private, frames)
    assert 0 < np.abs(systematic).max() < ROUNDING_FRACTION * batch.private.feature_step


def test_slots_without_a_frame_show_nothing_of_the_biases(batch: BatchRoles, upload: list[bytes]) -> None:
    """A black frame's features would be there, squares of the biases, without the bias's mask."""
    used = batch.plan.tiling.slots
    assert used < batch.plan.slot_count
    unhidden = [
        batch.decryptor.slots(row, message) for row, message in enumerate(batch.unhidden().rows(upload, SEED))
    ]
    black = private_evaluate(batch.private, np.zeros((1, *batch.plan.input_shape)))
    planned = batch.plan.flooding_amplitude / 2.0**batch.plan.flooding_bits
    assert np.abs(black).max() > 100 * planned
    assert np.abs(np.stack(unhidden)[..., used:]).max() < planned


def test_noise_covers_every_slot_and_both_parts(batch: BatchRoles, answer: list[bytes]) -> None:
    slots = np.stack([batch.decryptor.slots(row, message) for row, message in enumerate(answer)])
    used, outer = batch.plan.tiling.slots, batch.plan.outer_flooding_amplitude
    for part in (slots.imag, slots.real[..., used:]):
        assert outer / 2 < np.abs(part).max() < 1.01 * outer
        assert 0.9 < np.std(part) / (outer / np.sqrt(3)) < 1.1


def test_two_answers_differ_in_every_polynomial_and_say_the_same(
    batch: BatchRoles, upload: list[bytes], answer: list[bytes]
) -> None:
    """Without the fresh encryption of zero the second components would be equal: functions of the weights."""
    assert list(batch.evaluator.rows(upload, SEED)) == answer
    again = list(batch.evaluator.rows(upload, bytes(32)))
    content = feature_rows(batch.plan)
    for row, (one, two) in enumerate(zip(answer, again, strict=True)):
        first, second = (read_row(batch.plan, content, row, message) for message in (one, two))
        assert (first != second).mean() > 0.99
    unhidden = list(batch.unhidden().rows(upload, SEED)), list(batch.unhidden().rows(upload, SEED))
    assert unhidden[0] == unhidden[1]


def test_an_evaluator_takes_no_plan_of_another_private_part(batch: BatchRoles) -> None:
    other = private_part((1, 16, 16), [*block(2, 2)])
    with pytest.raises(ParameterError, match="another private part"):
        BatchEvaluator(batch.plan, batch.public_key, batch.evaluation_keys, other)


def test_rows_missing_or_exchanged_are_refused(batch: BatchRoles, upload: list[bytes]) -> None:
    with pytest.raises(SubmissionRefused, match="rows here"):
        list(batch.evaluator.rows(upload[:-1], SEED))
    with pytest.raises(SubmissionRefused, match="row 0 of the batch: row 1 is in the place of row 0"):
        list(batch.evaluator.rows([upload[1], upload[0], *upload[2:]], SEED))


def test_processes_do_the_same() -> None:
    roles = BatchRoles.of(small_part(), 100)
    frames = random_frames(roles.plan)
    assert roles.plan.tiling.output_shape[1] > 1
    upload = list(encrypt_batch(roles.plan, roles.public_key, frames, 2))
    keys = roles.public_key, roles.evaluation_keys
    answer = list(ParallelEvaluator(roles.plan, *keys, roles.private, 2).rows(upload, SEED))
    assert answer == list(roles.evaluator.rows(upload, SEED))
    assert error_in_steps(roles, frames, answer) < 1 / 4


def test_a_batch_larger_than_all_slots_is_refused() -> None:
    with pytest.raises(ParameterError, match="split it"):
        plan(small_part(), (1 << 14) + 1)
