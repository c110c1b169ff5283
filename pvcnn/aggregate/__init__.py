"""Aggregation of proofs (docs/protocol.md, section "Aggregation").

`pvcnn.aggregate` is this package and also the operation of that name: calling it calls
`pvcnn.aggregate.aggregator.aggregate`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from pvcnn.aggregate.aggregator import aggregate

        return aggregate(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
