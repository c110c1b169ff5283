"""One class per kind of private layer: what it does to a list of ciphertexts, one per channel."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.he.context import EncryptionContext
from pvcnn.he.packing import TAPS
from pvcnn.he.schedule import Level, Stage
from pvcnn.program.private import PrivateConvolution


class EncryptedLayer(Protocol):
    """Takes the ciphertexts of all channels, which it may overwrite, and gives those of its outputs."""

    def __call__(self, channels: list[seal.Ciphertext]) -> list[seal.Ciphertext]: ...


class EncryptedConvolution:
    """Nine rotations of every input, shared by all filters, times one plaintext per weight.

    The plaintext of a weight holds it wherever the tap's neighbour lies inside the grid, and zero elsewhere.
    """

    def __init__(
        self,
        context: EncryptionContext,
        galois: seal.GaloisKeys,
        stage: Stage,
        before: Level,
        after: Level,
    ) -> None:
        assert isinstance(stage.layer, PrivateConvolution)
        self._evaluator = context.evaluator
        self._galois = galois
        self._steps = [stage.grid.step(*tap) for tap in TAPS]
        slot_count = context.plan.slot_count
        inside = [stage.grid.tap_mask(*tap, slot_count) for tap in TAPS]
        everywhere = stage.grid.mask(slot_count)
        self._weights = [
            [
                _never_zero(context, weight * inside[t], before)
                for row in kernel
                for t, weight in enumerate(row)
            ]
            for kernel in _phased(stage, stage.kernel)
        ]
        self._biases = [
            context.encode(bias * everywhere, after.primes, after.scale)
            for bias in _phased(stage, stage.layer.bias)
        ]

    def __call__(self, channels: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        inputs = [self._rotated(channel, step) for channel in channels for step in self._steps]
        return [self._filtered(inputs, *pair) for pair in zip(self._weights, self._biases, strict=True)]

    def _rotated(self, channel: seal.Ciphertext, step: int) -> seal.Ciphertext:
        if step == 0:
            return channel
        rotated = seal.Ciphertext()
        self._evaluator.rotate_vector(channel, step, self._galois, rotated)
        return rotated

    def _filtered(
        self, inputs: list[seal.Ciphertext], weights: list[seal.Plaintext], bias: seal.Plaintext
    ) -> seal.Ciphertext:
        total, product = seal.Ciphertext(), seal.Ciphertext()
        self._evaluator.multiply_plain(inputs[0], weights[0], total)
        for value, weight in zip(inputs[1:], weights[1:], strict=True):
            self._evaluator.multiply_plain(value, weight, product)
            self._evaluator.add_inplace(total, product)
        self._evaluator.rescale_to_next_inplace(total)
        total.scale = bias.scale  # equal but for the last bits of a double
        self._evaluator.add_plain_inplace(total, bias)
        return total


def _phased(stage: Stage, channels: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Odd output channels times the stage's phase, and added to the even ones if the stage merges."""
    phased = channels.astype(np.complex128)
    phased[1::2] *= stage.phase
    if not stage.merges:
        return phased
    merged = phased[0::2].copy()
    merged[: len(phased) // 2] += phased[1::2]
    return merged


def _never_zero(context: EncryptionContext, values: NDArray[np.complex128], level: Level) -> seal.Plaintext:
    """The plaintext of `values`, or of 1 / scale in every slot if that would be zero.

    SEAL refuses a product with zero as transparent, and leaving the product out would show, in time, which
    weights are zero. The substitute is the constant polynomial 1, the smallest that is not zero: at a
    scale of 2^40 it adds 2^-40 of a pixel, less than encryption's own noise by a factor of 10^4.
    """
    plaintext = context.encode(values, level.primes, level.plaintext_scale)
    if not plaintext.is_zero():
        return plaintext
    unit = np.full(context.plan.slot_count, 1 / level.plaintext_scale)
    return context.encode(unit, level.primes, level.plaintext_scale)


class EncryptedSquare:
    """Entrywise square, relinearised and rescaled; pairs are added before that if the stage merges."""

    def __init__(self, context: EncryptionContext, relinearisation: seal.RelinKeys, stage: Stage) -> None:
        self._evaluator = context.evaluator
        self._relinearisation = relinearisation
        self._merges = stage.merges

    def __call__(self, channels: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        for channel in channels:
            self._evaluator.square_inplace(channel)
        if self._merges:
            for even, odd in zip(channels[0::2], channels[1::2], strict=False):
                self._evaluator.add_inplace(even, odd)
            channels = channels[0::2]
        for channel in channels:
            self._evaluator.relinearize_inplace(channel, self._relinearisation)
            self._evaluator.rescale_to_next_inplace(channel)
        return channels


class EncryptedSum:
    """Sums over windows, by rotating and adding; the division is the stage's factor."""

    def __init__(self, context: EncryptionContext, galois: seal.GaloisKeys, stage: Stage) -> None:
        self._evaluator = context.evaluator
        self._galois = galois
        self._steps = stage.steps

    def __call__(self, channels: list[seal.Ciphertext]) -> list[seal.Ciphertext]:
        rotated = seal.Ciphertext()
        for channel in channels:
            for step in self._steps:
                self._evaluator.rotate_vector(channel, step, self._galois, rotated)
                self._evaluator.add_inplace(channel, rotated)
        return channels
