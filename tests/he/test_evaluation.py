"""Encrypted evaluation against the plain reference, for all chains that are supported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import ParameterError, RangeError
from pvcnn.he.answer_randomness import SEED_BYTES
from pvcnn.he.checks import features_content, frame_content, read_ciphertexts, write_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.evaluation import Evaluator
from pvcnn.he.parameters import Design, design
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    PrivatePolynomial,
    Square,
)
from pvcnn.program.windows import Windows
from tests.he.conftest import Roles
from tests.he.parts import (
    calibrated,
    convolution,
    default_part,
    expected,
    linear,
    private_part,
    random_frame,
    small_part,
)


def evaluate_plainly(roles: Roles, upload: bytes) -> bytes:
    """An answer as `Evaluator.features` leaves it: neither re-randomised nor flooded."""
    plan, context = roles.plan, open_context(roles.plan)
    frame, content = frame_content(plan), features_content(plan)
    channels = read_ciphertexts(plan, frame, context.parms_id(frame.primes), upload)
    loaded = [context.ciphertext(channel, frame.primes, plan.scale) for channel in channels]
    answer = context.components(roles.evaluator.features(loaded))
    return write_ciphertexts(plan, content, context.parms_id(1), plan.scale, [answer])


LAYERS: dict[str, PrivateLayer] = {
    "filters": convolution("filters", 3, 1),
    "square": Square("square"),
    "pooling": PrivateAveragePool.disjoint("pooling", 2),
}


def chain(*names: str) -> list[PrivateLayer]:
    return [LAYERS[name] for name in names]


CHAINS = {
    "convolution": private_part((1, 16, 16), chain("filters")),
    "convolution, square": private_part((1, 16, 16), chain("filters", "square")),
    "convolution, pooling": private_part((1, 16, 16), chain("filters", "pooling")),
    "convolution, pooling, square": private_part((1, 16, 16), chain("filters", "pooling", "square")),
    "two channels, odd sides": private_part(
        (2, 9, 11),
        [convolution("filters", 3, 2), Square("square"), PrivateAveragePool.disjoint("pooling", 4)],
    ),
    "convolutions before and after pooling": private_part(
        (1, 16, 16),
        [
            convolution("filters1", 2, 1),
            PrivateAveragePool.disjoint("pooling", 2),
            convolution("filters2", 3, 2, seed=1),
            Square("square"),
        ],
        step=0.05,
    ),
    "convolution, square, square": private_part(
        (1, 16, 16), [*chain("filters", "square"), Square("again")], step=0.05
    ),
}


def coarse(*layers: PrivateLayer, limit: int) -> tuple[PrivatePart, int]:
    """A calibrated part whose features have few bits, so that it fits a small degree."""
    part = calibrated(private_part((1, 16, 16), layers))
    return replace(part, feature_step=part.ranges[-1] / limit), limit


CUBIC = PrivatePolynomial("cubic", np.array([0.1, 0.5, 0.3, 0.1]))
QUARTIC = PrivatePolynomial("quartic", np.array([0.1, 0.5, 0.3, 0.1, -0.05]))
COARSE = {
    # The power keeps its scale, so that the chain has one prime less.
    "joint rescaling": coarse(*chain("filters", "square", "pooling"), limit=16),
    "quadratic": coarse(LAYERS["filters"], PrivatePolynomial("p", np.array([1.0, 0.5, -0.3])), limit=16),
    "cubic": coarse(
        LAYERS["filters"], CUBIC, PrivateAveragePool("pooling", Windows.square(3, 2), 9), limit=16
    ),
    "quartic, merged": coarse(convolution("filters", 9, 1), QUARTIC, limit=16),
    "powers behind a pool": coarse(LAYERS["filters"], LAYERS["pooling"], CUBIC, limit=16),
    # The square within is rescaled to less than the scale before, where rounding counts for more.
    "cubic that keeps its scale": coarse(LAYERS["filters"], CUBIC, limit=256),
    "quartic that keeps its scale": coarse(LAYERS["filters"], QUARTIC, limit=256),
    "linear": coarse(LAYERS["filters"], LAYERS["square"], linear("linear", 5, 3 * 256), limit=16),
    "strides and groups": coarse(
        convolution("one", 4, 1, windows=Windows.square(3, 2, 1)),
        convolution("two", 6, 4, windows=Windows.square(2, 2), groups=2),
        limit=16,
    ),
}


def test_joint_rescaling_saves_a_prime() -> None:
    made = design(*COARSE["joint rescaling"])
    assert len(made.plan.data_moduli) == sum(stage.rescalings for stage in made.chain.stages) == 3


class _FoldingLate(Evaluator):
    """Folds behind the rescaling, where key switching meets the small scale that a power keeps."""

    def designed(self, private: PrivatePart, feature_limit: int) -> Design:
        made = super().designed(private, feature_limit)
        return replace(made, track=tuple(replace(level, folds_early=False) for level in made.track))


def test_folding_before_a_kept_power_is_quieter() -> None:
    part = calibrated(private_part((8, 8, 8), [convolution("filters", 4, 8), LAYERS["square"]]))
    roles = Roles.of(part)
    level = design(part).track[0]
    assert level.folds_early
    assert roles.plan.layers[1].primes == level.primes - 1, "the square keeps its scale"
    late = _FoldingLate(roles.plan, roles.public_key, roles.evaluation_keys, part)
    frame = random_frame((8, 8, 8))
    upload, reference = roles.encrypt(frame), expected(part, frame)
    errors = [
        abs(roles.decrypt(evaluate_plainly(one, upload)) - reference).max()
        for one in (roles, replace(roles, evaluator=late))
    ]
    assert 8 * errors[0] < errors[1]


@pytest.mark.parametrize("name", ["cubic that keeps its scale", "quartic that keeps its scale"])
def test_powers_of_higher_degree_keep_their_scale(name: str) -> None:
    made = design(*COARSE[name])
    assert len(made.plan.data_moduli) == sum(stage.rescalings for stage in made.chain.stages) == 4


@pytest.mark.parametrize("name", [*CHAINS, *COARSE])
def test_chain(name: str) -> None:
    roles = Roles.of(*COARSE[name]) if name in COARSE else Roles.of(CHAINS[name])
    frame = random_frame(roles.private.input_shape)
    reference = expected(roles.private, frame)
    upload = roles.encrypt(frame)
    plain = roles.decrypt(evaluate_plainly(roles, upload))
    noise = roles.plan.flooding_amplitude / 2**roles.plan.flooding_bits
    assert abs(plain - reference).max() < noise, "the planner promised less noise"
    found = roles.decrypt(roles.evaluate(upload))
    assert abs(found - reference).max() <= roles.plan.flooding_amplitude + noise


def test_default_block() -> None:
    roles = Roles.of(default_part())
    frame = random_frame((1, 64, 64))
    upload = roles.encrypt(frame)
    answer = roles.evaluate(upload)
    assert len(upload) < 360_000
    assert len(answer) < 115_000
    error = abs(roles.decrypt(answer) - expected(roles.private, frame)).max()
    assert roles.plan.flooding_amplitude / 2 < error < roles.plan.feature_step / 4


def test_two_blocks(deep: Roles) -> None:
    """Every feature within a quarter of a step, and evaluation noise within what was planned."""
    frame = random_frame((1, 16, 16), 7)
    reference = expected(deep.private, frame)
    upload = deep.encrypt(frame)
    noise = deep.plan.flooding_amplitude / 2**deep.plan.flooding_bits
    assert abs(deep.decrypt(evaluate_plainly(deep, upload)) - reference).max() < noise
    found = deep.decrypt(deep.evaluate(upload))
    assert abs(found - reference).max() < deep.plan.feature_step / 4


@pytest.mark.parametrize("which", ["small", "deep"])
def test_slots_that_are_no_output_are_zero(which: str, request: pytest.FixtureRequest) -> None:
    """Before flooding. An unmasked slot holds products of single weights and pixels."""
    roles: Roles = request.getfixturevalue(which)
    upload = roles.encrypt(random_frame((1, 16, 16)))
    slots, layout = roles.slots(evaluate_plainly(roles, upload)), roles.plan.output_layout
    assert abs(layout.gather(slots[None])).max() > 0.1
    for place, own in zip(layout.channels, layout.slots(roles.plan.slot_count), strict=True):
        (slots.imag if place.part else slots.real)[own] = 0
    assert abs(slots).max() < 1e-5


def test_the_order_of_channels_is_kept() -> None:
    """Each channel has a bias of its own, so that a swap would show."""
    layers: list[PrivateLayer] = [
        PrivateConvolution("filters", np.zeros((5, 1, 3, 3)), np.arange(5.0)),
        Square("square"),
    ]
    roles = Roles.of(private_part((1, 8, 8), layers, step=1e-2))
    found = roles.decrypt(roles.evaluate(roles.encrypt(random_frame((1, 8, 8)))))
    assert abs(found - np.arange(5.0)[:, None, None] ** 2).max() < 1e-2


def test_zero_weights_work_and_ask_for_the_same_operations(small: Roles) -> None:
    """Neither single zeros nor a filter of zeros may crash, be left out, or show in what is done."""
    filters = small.private.layers[0]
    assert isinstance(filters, PrivateConvolution)
    weight, bias = filters.weight.copy(), filters.bias.copy()
    weight[0], bias[0] = 0.0, 0.0
    weight[1, 0, 1] = 0.0
    weight[2, 0, 0, 0] = 1e-15  # rounds to zero at any scale
    sparse = PrivatePart(
        small.private.input_shape,
        small.private.pixel_bound,
        (PrivateConvolution("filters", weight, bias), *small.private.layers[1:]),
        small.private.feature_step,
        small.private.output_shape,
    )
    roles = Roles.of(sparse)
    frame = random_frame((1, 16, 16))
    found = roles.decrypt(roles.evaluate(roles.encrypt(frame)))
    assert abs(found - expected(sparse, frame)).max() < roles.plan.feature_step / 4

    assert _calls(roles, frame) == _calls(small, frame)


class _Noting:
    """An evaluator of SEAL's that keeps the names of its calls and the sizes of what they were given."""

    def __init__(self, evaluator: Any, calls: list[tuple[object, ...]]) -> None:
        self._evaluator, self._calls = evaluator, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._evaluator, name)

        def noted(*arguments: Any) -> Any:
            sizes = [each.coeff_count() for each in arguments if isinstance(each, seal.Plaintext)]
            self._calls.append((name, *sizes, *(each for each in arguments if isinstance(each, int))))
            return method(*arguments)

        return noted


def _calls(roles: Roles, frame: NDArray[np.float64]) -> list[tuple[object, ...]]:
    """What evaluating a frame asks of SEAL, whose operations take times that depend on sizes alone."""
    evaluator = Evaluator(roles.plan, roles.public_key, roles.evaluation_keys, roles.private)
    calls: list[tuple[object, ...]] = []
    for operation in evaluator._operations:
        operation._evaluator = _Noting(operation._evaluator, calls)  # type: ignore[attr-defined]
    evaluator.evaluate(roles.encrypt(frame), bytes(SEED_BYTES))
    assert len(calls) > 20
    return calls


def test_answers_are_randomised(small: Roles, upload: bytes) -> None:
    """Two answers to one frame differ in every coefficient of both components."""
    context = open_context(small.plan)
    content = features_content(small.plan)

    def residues(answer: bytes) -> NDArray[np.uint64]:
        (found,) = read_ciphertexts(small.plan, content, context.parms_id(1), answer)
        return found

    first, second = (residues(small.evaluate(upload)) for _ in range(2))
    assert (first == second).mean() < 1e-3
    first, second = (residues(evaluate_plainly(small, upload)) for _ in range(2))
    np.testing.assert_array_equal(first, second)  # without it, evaluation is a function of its input


@pytest.mark.parametrize("which", ["small", "deep"])
def test_a_guess_of_the_weights_is_confirmed_by_plain_answers_only(
    which: str, request: pytest.FixtureRequest
) -> None:
    """Why an encryption of zero is added, always.

    Who has a frame's ciphertext and the public evaluation keys recomputes the answer under a guess of the
    weights. On a plain answer the right guess meets the second component exactly, so weights fall one
    by one; on a hidden answer no guess meets it, right or wrong.
    """
    roles: Roles = request.getfixturevalue(which)
    upload = roles.encrypt(random_frame((1, 16, 16)))
    filters, *others = roles.private.layers
    assert isinstance(filters, PrivateConvolution)
    wrong = filters.weight.copy()
    wrong[0, 0, 0, 0] += 2.0**-20
    guesses = {
        "right": roles.private,
        "wrong": replace(roles.private, layers=(replace(filters, weight=wrong), *others)),
    }
    context = open_context(roles.plan)

    def second_component(answer: bytes) -> NDArray[np.uint64]:
        content = features_content(roles.plan)
        (found,) = read_ciphertexts(roles.plan, content, context.parms_id(content.primes), answer)
        component: NDArray[np.uint64] = found[1]
        return component

    def recomputed(guess: PrivatePart) -> NDArray[np.uint64]:
        evaluator = Evaluator(roles.plan, roles.public_key, roles.evaluation_keys, guess)
        return second_component(evaluate_plainly(replace(roles, evaluator=evaluator), upload))

    plain = second_component(evaluate_plainly(roles, upload))
    hidden = second_component(roles.evaluate(upload))
    right, wrong_answer = (recomputed(guess) for guess in guesses.values())
    assert (plain == right).all()
    assert (plain == wrong_answer).mean() < 0.01
    for guess in (right, wrong_answer):
        assert (hidden == guess).mean() < 0.01


def test_evaluator_wants_the_plan_of_its_private_part(small: Roles) -> None:
    other = private_part((1, 16, 16), chain("filters", "square"))
    with pytest.raises(ParameterError, match="another private part"):
        Evaluator(small.plan, small.public_key, small.evaluation_keys, other)


def test_a_chain_one_level_short_is_refused(small: Roles) -> None:
    """When the plan is made, and by the evaluator where keys and reports were made to fit."""
    *data, special = small.plan.moduli
    shorter = (*data[:-1], special)
    with pytest.raises(ParameterError, match="more primes than the chain"):
        replace(small.plan, moduli=shorter)
    keys = tuple(replace(key, primes=min(key.primes, len(shorter) - 1)) for key in small.plan.keys)
    short = replace(small.plan, moduli=shorter, keys=keys)
    with pytest.raises(ParameterError, match="another private part"):
        Evaluator(short, small.public_key, small.evaluation_keys, small.private)


@pytest.mark.parametrize("pixel", [1.5, -1.5, float("nan"), float("inf")])
def test_pixels_out_of_bounds(small: Roles, pixel: float) -> None:
    frame = random_frame((1, 16, 16))
    frame[0, 3, 5] = pixel
    with pytest.raises(RangeError, match=r"pixel \(0, 3, 5\)"):
        small.encrypt(frame)


def test_frame_of_another_shape(small: Roles) -> None:
    with pytest.raises(ValueError, match="shape"):
        small.encrypt(np.zeros((1, 8, 8)))


def test_small_part_is_the_fixture(small: Roles) -> None:
    assert small.private.output_shape == small_part().output_shape
