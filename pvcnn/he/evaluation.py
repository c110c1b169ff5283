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
from pvcnn.he.layers import EncryptedAffine, EncryptedOperation, EncryptedPower, EncryptedSum
from pvcnn.he.levels import Level
from pvcnn.he.parameters import Design, design
from pvcnn.he.placement import AffinePlan, SumPlan
from pvcnn.he.schedule import PowerPlan, Stage
from pvcnn.program.private import PrivatePart


class Evaluator:
    """Evaluates one private part. Everything that does not depend on the frame is encoded here, once.

    Memory: 8 degree bytes per plaintext product and prime left (19 MB for the 72 products of one channel to
    eight at degree 8192), and twice the size of the evaluation keys. Not thread-safe; SEAL holds the
    interpreter lock, so run processes.
    """

    def __init__(
        self,
        plan: EncryptionPlan,
        public_key: PublicKey,
        evaluation_keys: EvaluationKeys,
        private: PrivatePart,
    ) -> None:
        """Raises ParameterError if the plan is not the one of this private part."""
        made = self.designed(private, plan.feature_limit)
        if made.plan != plan:
            raise ParameterError("the encryption plan was made for another private part")
        self._plan = plan
        self._context = open_context(plan)
        self._seal = self._context.evaluator
        self._relinearisation, self._galois = evaluation_keys.load(self._context)
        self._randomness = RandomnessExpander(plan, public_key)
        self._operations = [
            self._operation(stage, *made.track[i : i + 2]) for i, stage in enumerate(made.chain.stages)
        ]

    def designed(self, private: PrivatePart, feature_limit: int) -> Design:
        """How this evaluator goes about a private part."""
        return design(private, feature_limit)

    def evaluate(self, ciphertext: bytes, seed: bytes) -> bytes:
        """The encrypted features of an encrypted frame, as one ciphertext.

        The same bytes for the same frame and seed; with another seed, they differ in every coefficient.
        `seed`, 32 secret bytes, serves one frame. Raises DecodeError or SubmissionRefused for what is not a
        frame encrypted under this plan, and ValueError for a seed of another length.
        """
        randomness = self._randomness.expand(seed)
        plan, context = self._plan, self._context
        frame = frame_content(plan)
        messages = read_ciphertexts(plan, frame, context.parms_id(frame.primes), ciphertext)
        loaded = [context.ciphertext(residues, frame.primes, plan.scale) for residues in messages]
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

    def features(self, ciphertexts: list[seal.Ciphertext]) -> seal.Ciphertext:
        """The features in their slots and zero in all others; not yet fit to be shown to anyone."""
        for operation in self._operations:
            ciphertexts = operation(ciphertexts)
        (answer,) = ciphertexts
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

    def _operation(self, stage: Stage, before: Level, after: Level) -> EncryptedOperation:
        match stage.plan:
            case AffinePlan():
                return EncryptedAffine(self._context, self._galois, stage, before, after)
            case SumPlan():
                return EncryptedSum(self._context, self._galois, stage)
            case PowerPlan():
                return EncryptedPower(self._context, self._relinearisation, stage, before, after)
