"""What all tests of splitting share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors are slower with several threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Layers that a test makes have the same weights at every run."""
    torch.manual_seed(1)
