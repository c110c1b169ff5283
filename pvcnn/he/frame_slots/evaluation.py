"""The owner's part: the private layers on a batch.

What is done never depends on weights or pixels: a weight of zero is multiplied and added like any other.

Slots without a frame that is asked for hold zero, and stay so: the bias is added where such frames are only,
so that the others do not show what the private layers make of a black frame. A tester that fills them anyway
gets no more than its registered frames' decisions; their features reach the cluster under the noise
that covers these slots, of the same size as the imaginary parts', which hold nothing either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from pvcnn.errors import DecodeError, ParameterError, SubmissionRefused
from pvcnn.he.answer_randomness import EncryptionsOfZero
from pvcnn.he.checks import ANSWER_PRIMES
from pvcnn.he.context import open_context
from pvcnn.he.frame_slots.blocks import blocks
from pvcnn.he.frame_slots.chains import scales
from pvcnn.he.frame_slots.parameters import choose
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.frame_slots.randomness import BatchRandomness
from pvcnn.he.frame_slots.rows import RowContent, feature_rows, pixel_rows, read_row, write_row
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
        self._zeros = EncryptionsOfZero(plan, public_key)
        self._chain = tiled(blocks(private), plan.tiling)
        self._moduli_chain = found

    def rows(
        self,
        upload: Sequence[bytes],
        seed: bytes,
        places: Collection[int] | None = None,
        rows: Sequence[int] | None = None,
    ) -> Iterator[bytes]:
        """The answer's messages to a batch's; `rows` of them, in ascending order, all unless given.

        `places`: of the frames in the batch that are to be answered, from 0; all unless given. The same bytes
        for the same batch, seed and places; with another seed, they differ in every coefficient. `seed`, 32
        secret bytes, serves one batch. Raises DecodeError or SubmissionRefused for what is not a batch
        encrypted under this plan, and ValueError for a seed of another length.
        """
        plan = self._plan
        pixels, features = pixel_rows(plan), feature_rows(plan)
        if len(upload) != pixels.rows:
            raise SubmissionRefused(f"a batch has {pixels.rows} rows here, not {len(upload)}")
        frames = range(plan.tiling.frames) if places is None else places
        used = plan.tiling.slots_of(frames, plan.slot_count)
        randomness = BatchRandomness(plan, self._zeros, seed, used)
        found = self._moduli_chain
        steps = stages(
            self._context, plan, self._chain, found, scales(self._chain, found, plan.data_moduli), used
        )
        row_of: RowOf = KeptRows(partial(_read, plan, pixels, upload), steps[0].shared_rows)
        for stage, following in pairwise(steps):
            row_of = KeptRows(partial(self._inner_row, stage, row_of), following.shared_rows)
        for row in range(features.rows) if rows is None else rows:
            yield write_row(plan, features, row, self._answers(steps[-1], row_of, row, randomness))

    def _answers(self, stage: Stage, row_of: RowOf, row: int, randomness: BatchRandomness) -> list[Residues]:
        try:
            return [
                self._hidden(answer, *randomness.expand(row, number))
                for number, answer in enumerate(self._outputs(stage, row_of, row))
            ]
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

    def _hidden(
        self, answer: seal.Ciphertext, zero: seal.Ciphertext, noise: NDArray[np.complex128]
    ) -> Residues:
        """The answer after a fresh encryption of zero and flooding noise have been added.

        Without the former, the answer's second component is a known function of the batch's ciphertexts
        in which the weights are the only unknowns: whoever sees both solves for them.
        """
        evaluator, scale = self._context.evaluator, self._plan.answer_scale
        # SEAL leaves 1.0 in the one, and in the other what may differ in the last bits of a double.
        zero.scale = answer.scale = scale
        evaluator.add_inplace(answer, zero)
        evaluator.add_plain_inplace(answer, self._context.encode(noise, ANSWER_PRIMES, scale))
        return self._context.components(answer)


def _read(plan: FrameSlotsPlan, content: RowContent, upload: Sequence[bytes], row: int) -> Residues:
    """A row of the batch. Raises DecodeError or SubmissionRefused, which name it."""
    try:
        return read_row(plan, content, row, upload[row])
    except (DecodeError, SubmissionRefused) as error:
        raise type(error)(f"row {row} of the batch: {error}") from error
