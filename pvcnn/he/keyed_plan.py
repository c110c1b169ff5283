"""What keys and SEAL's context need to know of an encryption plan, of whatever layout."""

from __future__ import annotations

from typing import Protocol

from pvcnn.he.encryption_plan import SwitchingKey


class KeyedPlan(Protocol):
    """A ring, a modulus chain and the keys that evaluation needs. Plans are hashable values.

    data_moduli are all primes but the last, which serves key switching.
    """

    @property
    def degree(self) -> int: ...

    @property
    def moduli(self) -> tuple[int, ...]: ...

    @property
    def data_moduli(self) -> tuple[int, ...]: ...

    @property
    def slot_count(self) -> int: ...

    @property
    def keys(self) -> tuple[SwitchingKey, ...]: ...

    def key_moduli(self, key: SwitchingKey) -> tuple[int, ...]: ...

    @property
    def digest(self) -> bytes: ...

    def __hash__(self) -> int: ...
