"""Evaluates a chain on plain slots: what encrypted evaluation does, but for noise, and in no time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.circuit import Affine, Power, WindowSum
from pvcnn.he.placement import AffinePlan, SumPlan
from pvcnn.he.schedule import Chain, PowerPlan, Stage

Slots = NDArray[np.complex128]


def evaluate_slots(chain: Chain, slot_count: int, frame: NDArray[np.float64]) -> Slots:
    """(slot_count,) of the answer."""
    values = chain.input.scatter(frame, slot_count)
    for stage in chain.stages:
        values = _stage(stage, values, slot_count)
    answer: Slots = values[0]
    return answer


def _stage(stage: Stage, values: Slots, slot_count: int) -> Slots:
    operation, plan = stage.step.operation, stage.plan
    if isinstance(plan, AffinePlan):
        assert isinstance(operation, Affine)
        return _affine(operation, plan, values, slot_count)
    if isinstance(plan, SumPlan):
        assert isinstance(operation, WindowSum)
        for steps in plan.stages:
            values = values + sum(np.roll(values, -step, axis=1) for step in steps)
        return values
    assert isinstance(operation, Power)
    return _power(operation, plan, stage, values, slot_count)


def _affine(operation: Affine, plan: AffinePlan, values: Slots, slot_count: int) -> Slots:
    diagonals = plan.diagonals
    totals = np.zeros((diagonals.outputs, slot_count), np.complex128)
    for term in diagonals.terms:
        plaintext = diagonals.plaintext(term, operation.weight, plan.written, slot_count)
        product = plaintext * np.roll(values[term.input_ciphertext], -term.baby)
        totals[term.output_ciphertext] += np.roll(product, -term.giant)
    for step in diagonals.folds:
        totals = totals + np.roll(totals, -step, axis=1)
    if diagonals.conjugates:
        totals = totals + totals.conj()
    biases: Slots = plan.after.scatter(operation.bias, slot_count) * np.array(plan.phases)[:, None]
    return totals + biases


def _power(power: Power, plan: PowerPlan, stage: Stage, values: Slots, slot_count: int) -> Slots:
    phases = np.array(plan.phases)[:, None]
    if power.addend is not None:
        values = values + stage.before.scatter(power.addend, slot_count) * phases
    result = values**power.degree
    for i, coefficient in enumerate(power.lower):
        result = result + coefficient * phases ** (i + 1) * values ** (power.degree - 1 - i)
    if plan.merges:
        result = np.concatenate([result, np.zeros((len(result) % 2, slot_count))])
        result = result[0::2] + result[1::2]
    return result
