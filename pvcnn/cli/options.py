"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from pvcnn.campaign.artefacts.revealed import Kind
from pvcnn.errors import PvcnnError

Command = TypeVar("Command", bound=Callable[..., Any])


def _both(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


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


address_option: Callable[[Command], Command] = click.option(
    "--address",
    metavar="auto|HOST:PORT",
    help="A Ray cluster that exists already; without it, one is started on this machine.",
)
limit_options: Callable[[Command], Command] = _both(
    click.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="For one submission.",
    ),
    click.option(
        "--deadline",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="For all; what is not finished then is listed as failed.",
    ),
)
log_option: Callable[[Command], Command] = click.option(
    "--log",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Append what happens to each submission, a JSON object a line; - for stderr.",
)


scheme_option: Callable[[Command], Command] = click.option(
    "--scheme",
    type=click.Choice(["snarkpack", "packed", "auto"]),
    default="auto",
    show_default=True,
    help="Fold the proofs into one (snarkpack), list them (packed), or do what makes fewer bytes (auto).",
)
weights_option: Callable[[Command], Command] = click.option(
    "--weights",
    type=click.Choice(["committed", "published"]),
    default="committed",
    show_default=True,
    help="Whether those of the public part are hidden, or lie in DIR/public: then proofs are cheaper.",
)
reveal_option: Callable[[Command], Command] = click.option(
    "--reveal",
    type=click.Choice([str(kind) for kind in Kind]),
    default=str(Kind.DECISIONS),
    show_default=True,
    help="Of frames: what is decided, the logits behind it, or only how many decisions are correct.",
)


def use_address(address: str | None) -> None:
    """To be called before anything of `pvcnn.compute` is imported: Ray settles its network at its import."""
    if address == "auto":
        os.environ.setdefault("RAY_ADDRESS", address)  # Ray names its cluster to a job's driver
    elif address is not None:
        os.environ["RAY_ADDRESS"] = address


def check_device(device: str) -> None:
    """Raises UsageError for a device that has no kernels."""
    if device == "cuda":
        raise click.UsageError("CUDA kernels are not built yet; use --device cpu")


@contextmanager
def usage_errors() -> Iterator[None]:
    """A ValueError that is none of pvcnn's own errors says what is wrong with what was asked for."""
    try:
        yield
    except PvcnnError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def check_folder(folder: Path, option: str) -> None:
    """Raises UsageError for a folder that cannot be made or written to: to be called before long work."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise click.UsageError(f"{option} {folder}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise click.UsageError(f"{option} {folder}: no right to write in {there}; name another folder")


def use_one_torch_thread() -> None:
    """Small convolutions are several times slower when torch spreads them over threads."""
    import torch

    torch.set_num_threads(1)
