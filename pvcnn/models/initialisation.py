"""Seeded weights under which an untrained network behaves like a trained one: no layer dies or saturates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def initialise(model: nn.Module, frames: Tensor, generator: torch.Generator) -> None:
    """Draws all weights, takes batch norm's statistics from `frames`, and centres the logits on them.

    Left in eval mode and single precision; what follows from frames is computed in double, so that it is
    the same on every processor once it is rounded. The variance of what a layer outputs is kept (K. He
    and others, arXiv 1502.01852). Batch norm's scales and shifts vary, as training leaves them; shifts
    are positive in the mean, or differences between frames, and with them rounding errors, would grow
    from layer to layer (G. Yang and others, arXiv 1902.08129), which training prevents. Every logit has
    mean 0 over `frames`, so that decisions depend on the frame.
    """
    with torch.no_grad():
        for module in model.modules():
            _draw(module, generator)
        model.double()
        _take_statistics(model, frames.double())
        _centre_logits(model, frames.double())
        model.float()


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if module.bias is not None:
            module.bias.normal_(0, 0.1, generator=generator)
    elif isinstance(module, _NORMS):
        module.weight.uniform_(0.7, 1.3, generator=generator)
        module.bias.normal_(0.5, 0.2, generator=generator)


def _take_statistics(model: nn.Module, frames: Tensor) -> None:
    """Means and variances over `frames` in every batch norm; dropout stays off."""
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _NORMS)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over what it sees
        norm.train()
    model(frames)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _centre_logits(model: nn.Module, frames: Tensor) -> None:
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    assert last.bias is not None
    last.bias.sub_(model(frames).mean(0))
