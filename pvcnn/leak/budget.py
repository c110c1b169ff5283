"""How long an attacker trains: a number of steps, so that the same budget gives the same result anywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

#: Multiplications that a second of budget buys, forward and backward; about what one thread of a server
#: processor with AVX-512 does in small convolutions. Seconds of budget are therefore seconds there.
MULTIPLICATIONS = 3.5e10
#: By rule of thumb the backward pass costs twice the forward pass.
PASSES = 3
#: A second of budget buys no more steps than this: each has a cost of its own.
STEPS = 150
#: Seconds for one cut, unless said otherwise, and the shares of what is trained.
DEFAULT_SECONDS = 150.0
DECODER, EMBEDDING, IMITATION = 0.6, 0.15, 0.25
_WARM = 0.1


@dataclass(frozen=True)
class Training:
    """What training took: `epochs` over the attacker's frames, and processor time as it was, in seconds."""

    steps: int
    epochs: float
    seconds: float


def multiplications(network: nn.Module, *example: Tensor) -> int:
    """Of convolutions and matrix products in one forward pass over `example`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*example)
    return int(counter.get_total_flops()) // 2


def steps_for(seconds: float, each: int) -> int:
    """How many steps of `each` multiplications forward the budget buys; at least one."""
    return max(1, int(min(seconds * STEPS, seconds * MULTIPLICATIONS / (PASSES * max(each, 1)))))


def train(
    network: nn.Module,
    loss: Callable[[Tensor], Tensor],
    count: int,
    batch: int,
    steps: int,
    seed: int,
    rate: float = 3e-3,
) -> Training:
    """Trains `network` for `steps` steps with AdamW: `loss` takes indices below `count`, a batch of them.

    The rate rises over a tenth of the steps and falls along a cosine. The network is left in eval mode.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    batch = min(batch, count)
    network.train()
    start = time.process_time()
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * _share_of_rate(step, steps)
        if len(order) < batch:
            order = torch.randperm(count, generator=generator)
        chosen, order = order[:batch], order[batch:]
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(chosen))
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    network.eval()
    return Training(steps, steps * batch / count, time.process_time() - start)


def _share_of_rate(step: int, steps: int) -> float:
    """Up to 1 over a tenth of the steps, then down along a cosine; above 0."""
    done = (step + 1) / (steps + 1)
    return done / _WARM if done < _WARM else 0.5 + 0.5 * math.cos(math.pi * (done - _WARM) / (1 - _WARM))
