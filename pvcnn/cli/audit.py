"""`pvcnn audit`: submissions that a beacon chooses, opened by a role and repeated by an auditor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pvcnn.campaign.artefacts.folder import CampaignFolder, PublicFolder
from pvcnn.campaign.audit.choice import AuditChoice, AuditRecord
from pvcnn.cli.options import directory_argument, json_option, usage_errors
from pvcnn.cli.output import done, notes, plain, print_json, results, table
from pvcnn.errors import CampaignError
from pvcnn.files import read_bounded, write_once

if TYPE_CHECKING:
    from pvcnn.campaign.audit.report import AuditReport

Command = TypeVar("Command", bound=Callable[..., Any])
_SHOWN_LIES = (1, 2, 3, 5, 10)


def _from_hex(context: click.Context, parameter: click.Parameter, value: str | None) -> bytes | None:
    try:
        return None if value is None else bytes.fromhex(value)
    except ValueError as error:
        raise click.BadParameter("hexadecimal digits are expected", context, parameter) from error


def _choice_options(command: Command) -> Command:
    for option in (
        click.option(
            "--incomplete",
            is_flag=True,
            help="Choose although submissions lack an answer or an outcome; those are not chosen.",
        ),
        click.option(
            "--record",
            metavar="HEX",
            callback=_from_hex,
            help="What `pvcnn audit record` printed before the beacon was known; another one is refused.",
        ),
        click.option(
            "--count", metavar="K", required=True, type=click.IntRange(1), help="How many are audited."
        ),
        click.option(
            "--beacon",
            metavar="HEX",
            required=True,
            callback=_from_hex,
            help="16 to 64 public bytes that nobody knew when the record was written down.",
        ),
    ):
        command = option(command)
    return command


def _choose(
    directory: Path, beacon: bytes, count: int, record: bytes | None, incomplete: bool
) -> AuditChoice:
    with usage_errors():
        return AuditChoice.make(
            PublicFolder.find(directory), beacon, count, record_digest=record, incomplete=incomplete
        )


@click.group("audit")
def audit_command() -> None:
    """Hold owner and cluster to what they computed, for submissions that a public beacon chooses."""


@audit_command.command("record")
@directory_argument
@json_option
def record_command(directory: Path, as_json: bool) -> None:
    """Print one digest of all that is signed and proved in DIR, to be published before the beacon."""
    record = AuditRecord.read(PublicFolder.find(directory))
    done(
        as_json,
        {
            "record": record.digest.hex(),
            "auditable": len(record.auditable),
            "missing": list(record.missing),
        },
    )


@audit_command.command("choose")
@directory_argument
@_choice_options
@json_option
def choose_command(
    directory: Path, beacon: bytes, count: int, record: bytes | None, incomplete: bool, as_json: bool
) -> None:
    """Choose K submissions of DIR by a beacon, and say how likely they are to catch a lie."""
    choice = _choose(directory, beacon, count, record, incomplete)
    auditable = len(choice.record.auditable)
    chances = {lies: choice.chance(lies) for lies in _SHOWN_LIES if lies <= auditable}
    if as_json:
        print_json(
            {
                "record": choice.record.digest.hex(),
                "beacon": beacon.hex(),
                "indices": list(choice.indices),
                "auditable": auditable,
                "missing": list(choice.record.missing),
                "chances": {str(lies): chance for lies, chance in chances.items()},
            }
        )
        return
    results.print(f"record: {choice.record.digest.hex()}", soft_wrap=True)
    _ask_for_the_record(record)
    results.print(f"chosen of {auditable}: {' '.join(map(str, choice.indices))}", soft_wrap=True)
    for lies, chance in chances.items():
        said = "one lie is" if lies == 1 else f"of {lies} lies one or more is"
        results.print(f"  {said} caught with probability {chance:.4f}")


@audit_command.command("open")
@click.argument("role", type=click.Choice(["owner", "cluster"]))
@directory_argument
@_choice_options
@click.option(
    "--to",
    "target",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the opening is written, for the auditor alone: it is secret.",
)
@click.option(
    "--secrets",
    "secrets_in",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The campaign whose private folder holds the secrets, for a stream's; by default DIR itself.",
)
@json_option
def open_command(
    role: str,
    directory: Path,
    beacon: bytes,
    count: int,
    record: bytes | None,
    incomplete: bool,
    target: Path,
    secrets_in: Path | None,
    as_json: bool,
) -> None:
    """Open what a role of DIR committed to, for the submissions chosen; it is tried before it is written."""
    from pvcnn.campaign.artefacts.identity import SECRET_MODE
    from pvcnn.campaign.audit import cluster as cluster_audit
    from pvcnn.campaign.audit import owner as owner_audit

    choice = _choose(directory, beacon, count, record, incomplete)
    folder = CampaignFolder(directory)
    kept = CampaignFolder(secrets_in) if secrets_in else None
    opener = owner_audit.open_for_audit if role == "owner" else cluster_audit.open_for_audit
    with notes.status(f"opening {len(choice.indices)} submissions, and trying the opening"):
        opening = opener(folder, choice, kept)
    if not write_once(target, opening.to_bytes(), SECRET_MODE):
        raise CampaignError(f"{target} exists already")
    done(as_json, {"opening": str(target), "role": role, "indices": list(choice.indices)})


@audit_command.command("owner")
@directory_argument
@click.argument("opening", type=click.Path(dir_okay=False, path_type=Path))
@_choice_options
@json_option
def owner_command(
    directory: Path,
    opening: Path,
    beacon: bytes,
    count: int,
    record: bytes | None,
    incomplete: bool,
    as_json: bool,
) -> int:
    """Repeat the owner's answers of DIR, bit for bit, from its OPENING.

    Exit status 0 if it was honest, 1 if not or if that cannot be said here, 2 if something is malformed.
    """
    from pvcnn.campaign.audit.opening import OwnerOpening
    from pvcnn.campaign.audit.owner import audit_owner

    choice = _choose(directory, beacon, count, record, incomplete)
    opened = OwnerOpening.from_bytes(read_bounded(opening, OwnerOpening.MAX_BYTES))
    with notes.status(f"evaluating {len(choice.indices)} submissions again"):
        report = audit_owner(CampaignFolder(directory), choice, opened)
    return _print(report, record, as_json)


@audit_command.command("cluster")
@directory_argument
@click.argument("opening", type=click.Path(dir_okay=False, path_type=Path))
@_choice_options
@json_option
def cluster_command(
    directory: Path,
    opening: Path,
    beacon: bytes,
    count: int,
    record: bytes | None,
    incomplete: bool,
    as_json: bool,
) -> int:
    """Repeat the cluster's decryption and commitments of DIR from its OPENING.

    Exit status 0 if it was honest, 1 if not or if that cannot be said here, 2 if something is malformed.
    """
    from pvcnn.campaign.audit.cluster import audit_cluster
    from pvcnn.campaign.audit.opening import ClusterOpening

    choice = _choose(directory, beacon, count, record, incomplete)
    opened = ClusterOpening.from_bytes(read_bounded(opening, ClusterOpening.MAX_BYTES))
    with notes.status(f"decrypting {len(choice.indices)} answers again"):
        report = audit_cluster(CampaignFolder(directory), choice, opened)
    return _print(report, record, as_json)


def _ask_for_the_record(record: bytes | None) -> None:
    if record is None:
        notes.print("Was this record written down before the beacon was known? --record HEX demands it.")


def _print(report: AuditReport, record: bytes | None, as_json: bool) -> int:
    if as_json:
        print_json(report.to_json() | {"record_demanded": record is not None})
        return 0 if report.honest else 1
    shown = table(f"Audit of the {report.role}", ">#", "", "what came out")
    for finding in report.findings:
        shown.add_row(str(finding.index), str(finding.status), plain(finding.what))
    results.print(shown)
    if report.undetermined:
        results.print("[bold yellow]UNDETERMINED[/]: other software made these than repeated them")
        results.print(f"  opened with   {plain(report.software)}", soft_wrap=True)
        results.print(f"  repeated with {plain(report.here)}", soft_wrap=True)
    elif report.honest:
        results.print(f"[bold green]HONEST[/]: all {len(report.findings)} that the beacon chose")
    else:
        results.print("[bold red]DISHONEST[/]")
    choice = report.choice
    results.print(
        f"  one lie among {len(choice.record.auditable)} is caught with probability {choice.chance(1):.4f}"
    )
    if choice.record.missing:
        results.print(
            f"  {len(choice.record.missing)} more without an answer or an outcome could not be chosen"
        )
    _ask_for_the_record(record)
    return 0 if report.honest else 1
