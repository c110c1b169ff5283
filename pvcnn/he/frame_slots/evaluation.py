"""The owner's part: the private layers on a batch.

What is done never depends on weights or pixels: a weight of zero is multiplied and added like any other.

Slots that no frame fills hold zero, and stay so: the bias is added where there are frames only, so that these
slots do not show what the private layers make of a black frame. A tester that fills them anyway gets
no more than its registered frames' decisions; their features reach the cluster under the noise
that covers these slots, of the same size as the imaginary parts', which hold nothing either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import DecodeError, ParameterError, SubmissionRefused
from pvcnn.he.context import open_context
from pvcnn.he.flooding import uniform_noise
from pvcnn.he.frame_slots.blocks import blocks
from pvcnn.he.frame_slots.chains import scales
from pvcnn.he.frame_slots.parameters import choose
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.rows import feature_rows, pixel_rows, read_row, write_row
from pvcnn.he.frame_slots.stages import KeptRows, RowOf, Stage, stages
from pvcnn.he.frame_slots.tiling import tiled
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.he.residues import Residues
from pvcnn.program.private import PrivatePart


class BatchEvaluator:
    """Evaluates one private part on batches, a few rows of ciphertexts at a time.

    Not thread-safe; SEAL holds the interpreter lock, so run processes, each on some of the answer's rows.
    """

    def __init__(
        self,
        plan: FrameSlotsPlan,
        public_key: PublicKey,
        evaluation_keys: EvaluationKeys,
        private: PrivatePart,
    ) -> None:
        """Raises ParameterError if the plan is not the one of this private part."""
        expected, found = choose(private, plan.tiling.frames, plan.feature_limit)
        if expected != plan:
            raise ParameterError("the encryption plan was made for another private part")
        self._plan = plan
        self._context = open_context(plan)
        self._relinearisation, _ = evaluation_keys.load(self._context)
        self._encryptor = seal.Encryptor(self._context.seal, public_key.load(self._context))
        chain = tiled(blocks(private), plan.tiling)
        self._stages = stages(self._context, plan, chain, found, scales(chain, found, plan.data_moduli))

    def rows(self, upload: Sequence[bytes], rows: Sequence[int] | None = None) -> Iterator[bytes]:
        """The answer's messages to a batch's; `rows` of them, in ascending order, all unless given.

        Two answers to the same batch differ in every coefficient. Raises DecodeError or
        SubmissionRefused for what is not a batch encrypted under this plan.
        """
        plan = self._plan
        pixels, features = pixel_rows(plan), feature_rows(plan)
        if len(upload) != pixels.rows:
            raise SubmissionRefused(f"a batch has {pixels.rows} rows here, not {len(upload)}")
        row_of: RowOf = KeptRows(
            lambda row: read_row(plan, pixels, row, upload[row]), self._stages[0].shared_rows
        )
        for stage, following in pairwise(self._stages):
            row_of = KeptRows(partial(self._inner_row, stage, row_of), following.shared_rows)
        for row in range(features.rows) if rows is None else rows:
            yield write_row(plan, features, row, self._answers(row_of, row))

    def _answers(self, row_of: RowOf, row: int) -> list[Residues]:
        try:
            return [self._hidden(answer) for answer in self._outputs(self._stages[-1], row_of, row)]
        except DecodeError:
            raise
        except (ValueError, RuntimeError) as error:
            # Only ciphertexts made for the purpose get here, such as one that a product turns transparent.
            raise SubmissionRefused("the batch cannot be evaluated", str(error)) from error

    def _outputs(self, stage: Stage, row_of: RowOf, row: int) -> Iterator[seal.Ciphertext]:
        """One row of a block's outputs, channel by channel, relinearised and rescaled."""
        evaluator = self._context.evaluator
        for components in stage.sums(row_of, row):
            ciphertext = self._context.ciphertext(components, stage.primes, stage.total_scale)
            if stage.block.squares:
                evaluator.relinearize_inplace(ciphertext, self._relinearisation)
            for _ in range(stage.dropped):
                evaluator.rescale_to_next_inplace(ciphertext)
            yield ciphertext

    def _inner_row(self, stage: Stage, row_of: RowOf, row: int) -> Residues:
        """One row of an inner block's outputs, as `RowOf` gives rows."""
        return np.stack([self._context.components(c) for c in self._outputs(stage, row_of, row)])

    def _hidden(self, answer: seal.Ciphertext) -> Residues:
        """The answer after a fresh encryption of zero and flooding noise have been added.

        Without the former, the answer's second component is a known function of the batch's ciphertexts
        in which the weights are the only unknowns: whoever sees both solves for them.
        """
        evaluator, scale = self._context.evaluator, self._plan.answer_scale
        zero = seal.Ciphertext()
        self._encryptor.encrypt_zero(answer.parms_id(), zero)
        # SEAL leaves 1.0 in the one, and in the other what may differ in the last bits of a double.
        zero.scale = answer.scale = scale
        evaluator.add_inplace(answer, zero)
        evaluator.add_plain_inplace(answer, self._context.encode(flooding_noise(self._plan), 1, scale))
        return self._context.components(answer)


def flooding_noise(plan: FrameSlotsPlan) -> NDArray[np.complex128]:
    """(slots,) noise to be added to an answer (`pvcnn.he.flooding` says how much, and why)."""
    outer, used = plan.outer_flooding_amplitude, plan.tiling.slots
    octets = os.urandom(16 * plan.slot_count)
    real, imaginary = outer * uniform_noise(octets).reshape(2, plan.slot_count)
    real[:used] *= plan.flooding_amplitude / outer
    noise: NDArray[np.complex128] = real + 1j * imaginary
    return noise
