"""Vectors over the scalar field F_r. (Signatures here; the kernels' owner fills them in.)"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: (n, 4) uint64, Montgomery form with R = 2^256, fully reduced, least significant limb first.
#: Opaque outside pvcnn.algebra.
ScalarVector: TypeAlias = NDArray[np.uint64]
