"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

directory_argument: Callable[[Command], Command] = click.argument(
    "directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path)
)
json_option: Callable[[Command], Command] = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on the last line of stdout."
)
device_option: Callable[[Command], Command] = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where proving kernels run.",
)
workers_option: Callable[[Command], Command] = click.option(
    "--workers", type=click.IntRange(1, 256), help="Proving processes; by default one a processor."
)


def check_device(device: str) -> None:
    """Raises UsageError for a device that has no kernels."""
    if device == "cuda":
        raise click.UsageError("CUDA kernels are not built yet; use --device cpu")


def check_weights(weights: str) -> None:
    """Raises UsageError for weights that cannot be proved about yet."""
    if weights == "published":
        raise click.UsageError("published weights are not built yet; use --weights committed")


def use_one_torch_thread() -> None:
    """Small convolutions are several times slower when torch spreads them over threads."""
    import torch

    torch.set_num_threads(1)
