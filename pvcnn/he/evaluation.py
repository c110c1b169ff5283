"""The owner's part: the private layers on encrypted frames.

What is done never depends on weights or pixels: a weight of zero costs the same product as any other.
"""

from __future__ import annotations

import tenseal.sealapi as seal

from pvcnn.errors import ParameterError, SubmissionRefused
from pvcnn.he.answer_randomness import AnswerRandomness, RandomnessExpander
from pvcnn.he.checks import features_content, frame_content, read_ciphertexts, write_ciphertexts
from pvcnn.he.context import open_context
from pvcnn.he.encryption_plan import EncryptionPlan
from pvcnn.he.keys import EvaluationKeys, PublicKey
from pvcnn.he.layers import EncryptedConvolution, EncryptedLayer, EncryptedSquare, EncryptedSum
from pvcnn.he.parameters import plan as make_plan
from pvcnn.he.schedule import Level, Stage, levels, stages
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution, PrivatePart, Square


class Evaluator:
    """Evaluates one private part. Everything that does not depend on the frame is encoded here, once.

    Memory: 8 degree bytes per tap, input channel, output channel and prime (19 MB for one
    channel to eight at degree 8192). Not thread-safe; SEAL holds the interpreter lock, so run processes.
    """

    def __init__(
        self,
        plan: EncryptionPlan,
        public_key: PublicKey,
        evaluation_keys: EvaluationKeys,
        private: PrivatePart,
    ) -> None:
        """Raises ParameterError if the plan is not the one of this private part."""
        if make_plan(private, plan.feature_limit) != plan:
            raise ParameterError("the encryption plan was made for another private part")
        self._plan = plan
        self._context = open_context(plan)
        self._seal = self._context.evaluator
        self._relinearisation, self._galois = evaluation_keys.load(self._context)
        self._randomness = RandomnessExpander(plan, public_key)
        chain = stages(private)
        track = levels(chain, plan.moduli, plan.scale)
        self._layers = [self._layer(stage, *track[i : i + 2]) for i, stage in enumerate(chain)]
        self._mask = self._context.encode(
            chain[-1].output_factor * chain[-1].output_grid.mask(plan.slot_count),
            track[-1].primes,
            track[-1].plaintext_scale,
        )

    def evaluate(self, ciphertext: bytes, seed: bytes) -> bytes:
        """The encrypted features of an encrypted frame, as one ciphertext.

        The same bytes for the same frame and seed; with another seed, they differ in every coefficient.
        `seed`, 32 secret bytes, serves one frame. Raises DecodeError or SubmissionRefused for what is not a
        frame encrypted under this plan, and ValueError for a seed of another length.
        """
        randomness = self._randomness.expand(seed)
        plan, context = self._plan, self._context
        frame = frame_content(plan)
        channels = read_ciphertexts(plan, frame, context.parms_id(frame.primes), ciphertext)
        loaded = [context.ciphertext(channel, frame.primes, plan.scale) for channel in channels]
        try:
            answer = self.features(loaded)
            self.hide(answer, randomness)
        except (ValueError, RuntimeError) as error:
            # Only ciphertexts made for the purpose get here, such as one that a product turns transparent.
            raise SubmissionRefused("the ciphertext cannot be evaluated", str(error)) from error
        content = features_content(plan)
        return write_ciphertexts(
            plan, content, context.parms_id(content.primes), plan.scale, [context.components(answer)]
        )

    def features(self, channels: list[seal.Ciphertext]) -> seal.Ciphertext:
        """The features in their slots and zero in all others; not yet fit to be shown to anyone."""
        for layer in self._layers:
            channels = layer(channels)
        answer = self._interleaved([self._masked(channel) for channel in channels])
        self._seal.rescale_to_next_inplace(answer)
        answer.scale = self._plan.scale  # equal but for the last bits of a double
        return answer

    def hide(self, answer: seal.Ciphertext, randomness: AnswerRandomness) -> None:
        """Adds an encryption of zero, then flooding noise.

        Without the former, the answer's second component is a known function of the frame's ciphertext
        in which the weights are the only unknowns: whoever sees both solves for them.
        """
        zero = self._context.ciphertext(randomness.zero, features_content(self._plan).primes, answer.scale)
        self._seal.add_inplace(answer, zero)
        noise = self._context.encode(randomness.flooding, 1, answer.scale)
        self._seal.add_plain_inplace(answer, noise)

    def _layer(self, stage: Stage, before: Level, after: Level) -> EncryptedLayer:
        match stage.layer:
            case PrivateConvolution():
                return EncryptedConvolution(self._context, self._galois, stage, before, after)
            case Square():
                return EncryptedSquare(self._context, self._relinearisation, stage)
            case PrivateAveragePool():
                return EncryptedSum(self._context, self._galois, stage)

    def _masked(self, channel: seal.Ciphertext) -> seal.Ciphertext:
        self._seal.multiply_plain_inplace(channel, self._mask)
        return channel

    def _interleaved(self, channels: list[seal.Ciphertext]) -> seal.Ciphertext:
        """All pairs of channels in one ciphertext, pair k moved to its place in the output layout.

        By Horner's rule, so that three rotation steps serve any number of channels: the last place of a row
        moves right by one and the place before is added, then rows, then frames likewise.
        """
        layout = self._plan.output_layout
        groups: dict[tuple[int, ...], seal.Ciphertext] = {
            layout.place(k): channel for k, channel in enumerate(channels)
        }
        for step in reversed(layout.unit_steps()):
            rows: dict[tuple[int, ...], list[seal.Ciphertext]] = {}
            for place, member in groups.items():
                rows.setdefault(place[:-1], []).append(member)
            groups = {place: self._horner(members, step) for place, members in rows.items()}
        return groups[()]

    def _horner(self, channels: list[seal.Ciphertext], step: int) -> seal.Ciphertext:
        total = channels[-1]
        for channel in reversed(channels[:-1]):
            self._seal.rotate_vector_inplace(total, step, self._galois)
            self._seal.add_inplace(total, channel)
        return total
