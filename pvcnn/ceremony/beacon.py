"""The beacon that closes a ceremony: secrets that nobody chose, and everybody knows.

seed_0 = digest("pvcnn/ceremony-beacon", what it builds on, value), seed_(i+1) = SHA-256(seed_i); the secrets
are challenges of the transcript `pvcnn/ceremony-beacon-secrets` over the last seed. Whoever could choose
among several values must wait out the 2^log2_iterations steps for each of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pvcnn.algebra.transcript import Transcript, digest
from pvcnn.ceremony.description import Secret

MIN_VALUE_BYTES: Final = 16
MAX_VALUE_BYTES: Final = 64
#: A third of a second on one core; at most a second and a half, since everyone who verifies waits for it.
DEFAULT_LOG2_ITERATIONS: Final = 20
MIN_LOG2_ITERATIONS: Final = 10
MAX_LOG2_ITERATIONS: Final = 22
_STEP: Final = 1 << 16


@dataclass(frozen=True)
class Beacon:
    """value: 16 to 64 public bytes that nobody could know before; ValueError for others."""

    value: bytes
    log2_iterations: int = DEFAULT_LOG2_ITERATIONS

    def __post_init__(self) -> None:
        if not MIN_VALUE_BYTES <= len(self.value) <= MAX_VALUE_BYTES:
            raise ValueError(f"a beacon's value has {MIN_VALUE_BYTES} to {MAX_VALUE_BYTES} bytes")
        if not MIN_LOG2_ITERATIONS <= self.log2_iterations <= MAX_LOG2_ITERATIONS:
            raise ValueError(
                f"a beacon is hashed 2^{MIN_LOG2_ITERATIONS} to 2^{MAX_LOG2_ITERATIONS} times, "
                f"not 2^{self.log2_iterations}"
            )

    def secrets(
        self, previous: bytes, wanted: Sequence[Secret], done: Callable[[int], None] = lambda _: None
    ) -> dict[str, int]:
        """A scalar in [2, r) for each secret; `done` is told how many steps have been made."""
        seed = digest("pvcnn/ceremony-beacon", previous, self.value)
        remaining = 1 << self.log2_iterations
        while remaining:
            steps = min(_STEP, remaining)
            for _ in range(steps):
                seed = hashlib.sha256(seed).digest()
            remaining -= steps
            done(steps)
        transcript = Transcript("pvcnn/ceremony-beacon-secrets")
        transcript.absorb("seed", seed)
        return {secret.name: transcript.challenge(secret.name) for secret in wanted}
