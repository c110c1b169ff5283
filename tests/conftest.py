"""What all tests share."""

from __future__ import annotations

import os

# Before NumPy is imported: products of small matrices gain nothing from threads, and where other processes
# want the cores, threads that wait for each other make them fifty times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
