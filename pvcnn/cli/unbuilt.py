"""Commands whose names are fixed and whose work is not built yet: they refuse and name the remedy."""

from __future__ import annotations

from typing import NoReturn

import click

_ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}


def _refuse(what: str, remedy: str) -> NoReturn:
    raise click.UsageError(f"{what} is not built yet; {remedy}")


@click.command("submit", context_settings=_ANY_ARGUMENTS)
def submit_command() -> None:
    """Prove a campaign on an existing Ray cluster (not built yet)."""
    _refuse("submitting to a Ray cluster", "use `pvcnn prove DIR`, which starts local Ray workers")
