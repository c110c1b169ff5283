"""`pvcnn ceremony`: keys that nobody has to be trusted for, as long as one contributor was honest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pvcnn.cli.ceremony_progress import CeremonyBar, drawn
from pvcnn.cli.options import json_option, usage_errors
from pvcnn.cli.output import done, notes, plain, print_json, results
from pvcnn.errors import VerificationError
from pvcnn.files import read_bounded

if TYPE_CHECKING:  # needs the kernels
    from pvcnn.ceremony.chain import Chain
    from pvcnn.ceremony.opening import AnyCeremony
    from pvcnn.program.program import Program
    from pvcnn.program.weights import Weights

DEFAULT_MAX_PROOFS = 64
_MAX_ENTROPY_BYTES = 1 << 20
_MAX_PROGRAM_BYTES = 16 << 20

folder_argument = click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))


@click.group("ceremony")
def ceremony_command() -> None:
    """Make a campaign's keys by many hands: secure if one of them was honest. See docs/ceremony.md."""


@ceremony_command.command("init")
@folder_argument
@click.option(
    "--program",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A campaign's public/program.cbor: with --powers its own ceremony, without it powers that suffice.",
)
@click.option(
    "--powers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The closed ceremony of powers that a program's own is to build on.",
)
@click.option(
    "--published-weights",
    "published",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The program's weights, if they are published and not committed.",
)
@click.option("--frames", type=click.IntRange(1, 1 << 12), default=1, show_default=True, help="In one proof.")
@click.option(
    "--domain-log2",
    type=click.IntRange(1, 24),
    metavar="N",
    help="Powers for any circuit of up to 2^N constraints, instead of --program.",
)
@click.option(
    "--max-proofs",
    type=click.IntRange(1, 1 << 14),
    default=DEFAULT_MAX_PROOFS,
    show_default=True,
    help="How many proofs one aggregate may have.",
)
@json_option
def init_command(
    folder: Path,
    program: Path | None,
    powers: Path | None,
    published: Path | None,
    frames: int,
    domain_log2: int | None,
    max_proofs: int,
    as_json: bool,
) -> None:
    """Begin a ceremony in FOLDER, which is made: one of powers, or on closed ones that of a program."""
    if (program is None) == (domain_log2 is None):
        raise click.UsageError("name either a --program or, for powers alone, a --domain-log2")
    if program is None and (powers is not None or published is not None):
        raise click.UsageError("--powers and --published-weights are for the ceremony of a --program")
    from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
    from pvcnn.ceremony.powers_ceremony import PowersCeremony

    made: AnyCeremony
    with drawn() as progress, usage_errors():
        if program is not None and powers is not None:
            given = _read_program(program, published)
            made = CircuitCeremony.create(folder, powers, given[0], frames, given[1], progress)
        else:
            size = domain_log2 or _domain_log2(program, published, frames)
            made = PowersCeremony.create(folder, size, max_proofs)
    report = {"ceremony": made.description.digest().hex(), "folder": str(folder)}
    if not as_json:
        notes.print(
            "Each contributor now runs `pvcnn ceremony contribute` on a copy of this folder, in turn."
        )
    done(as_json, report)


@ceremony_command.command("contribute")
@folder_argument
@click.option("--name", required=True, help="What you want to be called in the transcript.")
@click.option(
    "--entropy",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Bytes of your own that are mixed into what the system's generator gives; - for stdin.",
)
@json_option
def contribute_command(folder: Path, name: str, entropy: Path | None, as_json: bool) -> None:
    """Verify everything so far, and multiply all secrets by fresh ones, which are forgotten at once."""
    from pvcnn.ceremony.opening import open_ceremony

    given = _entropy(entropy)
    with drawn() as progress, usage_errors():
        link = open_ceremony(folder).contribute(name, given, progress)
    if not as_json:
        notes.print("Keep this digest: the finished transcript must show it beside your name.")
    done(as_json, {"contribution": link.number, "digest": link.digest().hex()})


@ceremony_command.command("verify")
@folder_argument
@click.option("--contribution", metavar="DIGEST", help="Fail unless this contribution is part of it.")
@json_option
def verify_command(folder: Path, contribution: str | None, as_json: bool) -> None:
    """Check the whole transcript in FOLDER, that of the powers included, and the keys if there are any."""
    from pvcnn.ceremony.opening import open_ceremony

    ceremony = open_ceremony(folder)
    with drawn() as progress:
        report, chains = _verified(ceremony, progress)
    digests = {each["digest"] for chain in chains for each in chain}
    if contribution is not None and contribution not in digests:
        raise VerificationError(f"contribution {contribution} is not part of this transcript")
    if as_json:
        print_json(report)
        return
    for title, links in zip(("powers", "circuit"), chains, strict=False):
        results.print(f"{title}:")
        for link in links:
            results.print(f"  {link['number']}  {plain(link['name'])}  {link['digest']}", soft_wrap=True)
    results.print(plain(report["summary"]), soft_wrap=True)


@ceremony_command.command("finalize")
@folder_argument
@click.option(
    "--beacon",
    metavar="HEX",
    help="16 to 64 public bytes that nobody knew before the last contribution; not needed once it is in.",
)
@click.option(
    "--log2-iterations",
    type=click.IntRange(10, 22),
    default=20,
    show_default=True,
    help="The beacon is hashed 2^N times.",
)
@json_option
def finalize_command(folder: Path, beacon: str | None, log2_iterations: int, as_json: bool) -> None:
    """Close the ceremony with a public beacon; a program's keys are then in FOLDER/keys."""
    from pvcnn.ceremony.beacon import Beacon
    from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
    from pvcnn.ceremony.opening import open_ceremony

    ceremony = open_ceremony(folder)
    report: dict[str, Any] = {}
    with drawn() as progress, usage_errors():
        closing = Beacon(_from_hex(beacon), log2_iterations) if beacon is not None else None
        if isinstance(ceremony, CircuitCeremony):
            verified = ceremony.close(closing, progress) if closing else ceremony.verify(progress)
            report |= {
                "record": ceremony.finalize(verified).digest().hex(),
                "keys": str(ceremony.folder.keys),
            }
        elif closing is None:
            raise click.UsageError("a ceremony of powers is closed by a --beacon")
        else:
            report["transcript_digest"] = ceremony.close(closing, progress).chain.digest.hex()
    done(as_json, report)


def _verified(
    ceremony: AnyCeremony, progress: CeremonyBar
) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """A report of a transcript that holds, and the links of its chains."""
    from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
    from pvcnn.ceremony.finished import finished_record

    written = None
    if isinstance(ceremony, CircuitCeremony):
        verified = ceremony.verify(progress)
        chains = [ceremony.powers().chain, verified.chain]
        written = finished_record(ceremony, verified)
    else:
        chains = [ceremony.verify(progress).chain]
    last = chains[-1]
    report = {"closed": last.is_closed, "transcript_digest": last.digest.hex()}
    report["summary"] = written.summary() if written else _open_summary(last)
    report |= {"record": written.digest().hex()} if written else {}
    links = [_links(chain) for chain in chains]
    return report | {"chains": links}, links


def _links(chain: Chain) -> list[dict[str, Any]]:
    return [
        {"number": each.number, "name": each.name, "digest": each.digest().hex()}
        for each in chain.contributions
    ]


def _open_summary(chain: Chain) -> str:
    state = "closed by a beacon" if chain.is_closed else "open"
    return f"{len(chain.contributors)} contributions, {state}, transcript digest {chain.digest.hex()}"


def _domain_log2(program: Path | None, published: Path | None, frames: int) -> int:
    from pvcnn.qmp.circuit import compile_program
    from pvcnn.qmp.proving_key import domain_size

    assert program is not None
    given, weights = _read_program(program, published)
    system = compile_program(given, frames, published=weights).system
    return domain_size(system.constraints).bit_length() - 1


def _read_program(path: Path, published: Path | None) -> tuple[Program, Weights | None]:
    from pvcnn.program.program import Program
    from pvcnn.program.published import load_published

    program = Program.from_bytes(read_bounded(path, _MAX_PROGRAM_BYTES))
    return program, None if published is None else load_published(program, published)


def _entropy(path: Path | None) -> bytes:
    """What the user adds: the contents of a file, of stdin for -, or nothing."""
    if path is None:
        return b""
    if str(path) == "-":
        return sys.stdin.buffer.read(_MAX_ENTROPY_BYTES)
    return read_bounded(path, _MAX_ENTROPY_BYTES)


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError("a beacon is given in hexadecimal digits") from error
