"""One class per kind of operation: what it does to a list of ciphertexts.

What is done depends on shapes alone, never on weights: a weight of zero costs the same product as any other.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.he.circuit import Affine, Power
from pvcnn.he.context import EncryptionContext
from pvcnn.he.diagonals import Term
from pvcnn.he.levels import Level, power_scales
from pvcnn.he.placement import AffinePlan, SumPlan
from pvcnn.he.schedule import PowerPlan, Stage


class EncryptedOperation(Protocol):
    """Takes ciphertexts, which it may overwrite, and gives those of its outputs."""

    def __call__(self, inputs: list[seal.Ciphertext]) -> list[seal.Ciphertext]: ...


def never_zero(
    context: EncryptionContext, values: NDArray[np.complex128], primes: int, scale: float
) -> seal.Plaintext:
    """The plaintext of `values`, or of 1 / scale in every slot if that would be zero.

    SEAL refuses a product with zero as transparent, and leaving the product out would show, in time, which
    weights are zero. The substitute is the constant polynomial 1, the smallest that is not zero: what it adds
    is less than what rounding other plaintexts to integers adds.
    """
    plaintext = context.encode(values, primes, scale)
    if not plaintext.is_zero():
        return plaintext
    return context.encode(np.full(context.plan.slot_count, 1 / scale), primes, scale)


class EncryptedAffine:
    """Products with diagonals, summed before they are rescaled; then folds, the conjugate, and the bias."""

    def __init__(
        self, context: EncryptionContext, galois: seal.GaloisKeys, stage: Stage, before: Level, after: Level
    ) -> None:
        operation, plan = stage.step.operation, stage.plan
        assert isinstance(operation, Affine)
        assert isinstance(plan, AffinePlan)
        self._evaluator = context.evaluator
        self._galois = galois
        self._folds, self._conjugates = plan.diagonals.folds, plan.diagonals.conjugates
        self._folds_early = before.folds_early
        slot_count = context.plan.slot_count
        self._plaintexts: dict[Term, seal.Plaintext] = {}
        for term in plan.diagonals.terms:
            values = plan.diagonals.plaintext(term, operation.weight, plan.written, slot_count)
            self._plaintexts[term] = never_zero(context, values, before.primes, before.plaintext_scale)
        spread = plan.after.scatter(operation.bias, slot_count) * np.array(plan.phases)[:, None]
        self._biases = [context.encode(values, after.primes, after.scale) for values in spread]

    def __call__(self, inputs: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        totals = self._turned(self._products(inputs))
        return [self._finished(total, bias) for total, bias in zip(totals, self._biases, strict=True)]

    def _products(self, inputs: list[seal.Ciphertext]) -> dict[tuple[int, int], seal.Ciphertext]:
        """By output ciphertext and giant rotation."""
        rotated: dict[tuple[int, int], seal.Ciphertext] = {}
        sums: dict[tuple[int, int], seal.Ciphertext] = {}
        product = seal.Ciphertext()
        for term, plaintext in self._plaintexts.items():
            source = term.input_ciphertext, term.baby
            if source not in rotated:
                rotated[source] = self._rotated(inputs[term.input_ciphertext], term.baby)
            target = term.output_ciphertext, term.giant
            if target in sums:
                self._evaluator.multiply_plain(rotated[source], plaintext, product)
                self._evaluator.add_inplace(sums[target], product)
            else:
                sums[target] = seal.Ciphertext()
                self._evaluator.multiply_plain(rotated[source], plaintext, sums[target])
        return sums

    def _turned(self, sums: dict[tuple[int, int], seal.Ciphertext]) -> list[seal.Ciphertext]:
        """The sum over the giant rotations of each output ciphertext."""
        totals: dict[int, seal.Ciphertext] = {}
        for (output, giant), partial in sorted(sums.items()):
            turned = self._rotated(partial, giant)
            if output in totals:
                self._evaluator.add_inplace(totals[output], turned)
            else:
                totals[output] = turned
        return [totals[output] for output in sorted(totals)]

    def _finished(self, total: seal.Ciphertext, bias: seal.Plaintext) -> seal.Ciphertext:
        if self._folds_early:
            self._fold(total)
        self._evaluator.rescale_to_next_inplace(total)
        if not self._folds_early:
            self._fold(total)
        total.scale = bias.scale  # equal but for the last bits of a double
        self._evaluator.add_plain_inplace(total, bias)
        return total

    def _fold(self, total: seal.Ciphertext) -> None:
        turned = seal.Ciphertext()
        for step in self._folds:
            self._evaluator.rotate_vector(total, step, self._galois, turned)
            self._evaluator.add_inplace(total, turned)
        if self._conjugates:
            self._evaluator.complex_conjugate(total, self._galois, turned)
            self._evaluator.add_inplace(total, turned)

    def _rotated(self, ciphertext: seal.Ciphertext, step: int) -> seal.Ciphertext:
        if step == 0:
            return ciphertext
        rotated = seal.Ciphertext()
        self._evaluator.rotate_vector(ciphertext, step, self._galois, rotated)
        return rotated


class EncryptedSum:
    """Sums over windows, by rotating and adding; the division is the step's factor."""

    def __init__(self, context: EncryptionContext, galois: seal.GaloisKeys, stage: Stage) -> None:
        assert isinstance(stage.plan, SumPlan)
        self._evaluator = context.evaluator
        self._galois = galois
        self._stages = stage.plan.stages

    def __call__(self, inputs: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        for total in inputs:
            for steps in self._stages:
                turned = [seal.Ciphertext() for _ in steps]
                for step, value in zip(steps, turned, strict=True):
                    self._evaluator.rotate_vector(total, step, self._galois, value)
                for value in turned:
                    self._evaluator.add_inplace(total, value)
        return inputs


class EncryptedPower:
    """u^2, u^2 (u + a) + b u or u^2 (u^2 + a u + b) + c u, relinearised once per product.

    Where values come multiplied with a phase p, u p is in the slots; a term of u^j is multiplied with
    p^(d - j), so that p^d comes out before all. Pairs are added before the last relinearisation if the
    stage merges.
    """

    def __init__(
        self,
        context: EncryptionContext,
        relinearisation: seal.RelinKeys,
        stage: Stage,
        before: Level,
        after: Level,
    ) -> None:
        power, plan = stage.step.operation, stage.plan
        assert isinstance(power, Power)
        assert isinstance(plan, PowerPlan)
        self._evaluator = context.evaluator
        self._relinearisation = relinearisation
        self._degree, self._merges = power.degree, plan.merges
        self._last_rescales = before.primes - after.primes == stage.rescalings
        self._scale = after.scale
        self._addends = self._terms = None
        slot_count = context.plan.slot_count
        if power.addend is not None:
            spread = stage.before.scatter(power.addend, slot_count) * np.array(plan.phases)[:, None]
            self._addends = [context.encode(values, before.primes, before.scale) for values in spread]
        if power.degree > 2:
            self._terms = [self._coefficients(context, power, phase, before) for phase in plan.phases]

    def _coefficients(
        self, context: EncryptionContext, power: Power, phase: complex, before: Level
    ) -> list[seal.Plaintext]:
        """a, b and, at degree four, c, each at the scale and level at which it is needed."""
        slot_count, primes, scale = context.plan.slot_count, before.primes, before.scale
        last = float(context.plan.moduli[primes - 1])
        square_scale, product_scale = power_scales(power, scale, [last])
        slots = [
            np.full(slot_count, coefficient * phase ** (i + 1), np.complex128)
            for i, coefficient in enumerate(power.lower)
        ]
        linear = never_zero(context, slots[-1], primes - 1, product_scale / scale)
        if power.degree == 3:
            return [context.encode(slots[0], primes - 1, scale), linear]
        return [
            never_zero(context, slots[0], primes, square_scale * last / scale),
            context.encode(slots[1], primes - 1, square_scale),
            linear,
        ]

    def __call__(self, inputs: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        if self._addends is not None:
            for value, addend in zip(inputs, self._addends, strict=True):
                value.scale = addend.scale
                self._evaluator.add_plain_inplace(value, addend)
        products = [self._product(value, index) for index, value in enumerate(inputs)]
        if self._merges:
            for even, odd in zip(products[0::2], products[1::2], strict=False):
                self._evaluator.add_inplace(even, odd)
            products = products[0::2]
        for product in products:
            self._evaluator.relinearize_inplace(product, self._relinearisation)
            if self._last_rescales:
                self._evaluator.rescale_to_next_inplace(product)
            product.scale = self._scale
        return products

    def _product(self, value: seal.Ciphertext, index: int) -> seal.Ciphertext:
        """The power, with three components and not rescaled."""
        square = seal.Ciphertext()
        self._evaluator.square(value, square)
        if self._terms is None:
            return square
        self._evaluator.relinearize_inplace(square, self._relinearisation)
        self._evaluator.rescale_to_next_inplace(square)
        terms = self._terms[index]
        lower = seal.Ciphertext()
        self._evaluator.mod_switch_to_next(value, lower)
        other = self._other_factor(value, lower, square, terms)
        product, linear = seal.Ciphertext(), seal.Ciphertext()
        self._evaluator.multiply(square, other, product)
        self._evaluator.multiply_plain(lower, terms[-1], linear)
        linear.scale = product.scale
        self._evaluator.add_inplace(product, linear)
        return product

    def _other_factor(
        self,
        value: seal.Ciphertext,
        lower: seal.Ciphertext,
        square: seal.Ciphertext,
        terms: list[seal.Plaintext],
    ) -> seal.Ciphertext:
        """u + a, or u^2 + a u + b."""
        other = seal.Ciphertext()
        if self._degree == 3:
            terms[0].scale = lower.scale
            self._evaluator.add_plain(lower, terms[0], other)
            return other
        self._evaluator.multiply_plain(value, terms[0], other)
        self._evaluator.rescale_to_next_inplace(other)
        other.scale = square.scale
        self._evaluator.add_inplace(other, square)
        terms[1].scale = other.scale
        self._evaluator.add_plain_inplace(other, terms[1])
        return other
