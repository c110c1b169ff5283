"""The command line: `pvcnn`, also `python -m pvcnn`.

Exit status: 0 done or valid, 1 an invalid proof or a failed check, 2 malformed input or usage.
Heavy packages are imported by the commands that need them, so that `pvcnn verify` works without.
"""

from __future__ import annotations

import sys

import click

from pvcnn.cli.aggregation import aggregate_command, verify_command
from pvcnn.cli.audit import audit_command
from pvcnn.cli.bench import bench_command, warmup_command
from pvcnn.cli.ceremony import ceremony_command
from pvcnn.cli.demo import demo_command
from pvcnn.cli.evaluation import infer_command
from pvcnn.cli.inspection import inspect_command
from pvcnn.cli.joining import join_command
from pvcnn.cli.leak import leak_command
from pvcnn.cli.output import notes, plain
from pvcnn.cli.plan import plan_command
from pvcnn.cli.proving import prove_command
from pvcnn.cli.roles import (
    encrypt_command,
    keygen_command,
    open_labels_command,
    split_command,
)
from pvcnn.cli.setup import setup_command
from pvcnn.cli.status import status_command
from pvcnn.cli.stream import stream_command
from pvcnn.cli.submission import deliver_keys_command, run_job_command, submit_command
from pvcnn.errors import PvcnnError, VerificationError

EXIT_INVALID = 1
EXIT_MALFORMED = 2
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pvcnn")
def cli() -> None:
    """Publicly verifiable CNN testing: encrypted frames, proofs of inference, one aggregate."""


for command in (
    demo_command,
    split_command,
    keygen_command,
    setup_command,
    ceremony_command,
    encrypt_command,
    infer_command,
    prove_command,
    aggregate_command,
    join_command,
    open_labels_command,
    verify_command,
    audit_command,
    inspect_command,
    submit_command,
    run_job_command,
    deliver_keys_command,
    status_command,
    stream_command,
    leak_command,
    plan_command,
    bench_command,
    warmup_command,
):
    cli.add_command(command)


def main() -> None:
    """Runs the command line and exits with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit status of one command."""
    try:
        result = cli.main(arguments, prog_name="pvcnn", standalone_mode=False)
    except VerificationError as error:
        notes.print(f"[bold red]invalid:[/] {plain(error)}", soft_wrap=True)
        return EXIT_INVALID
    except PvcnnError as error:
        notes.print(f"[bold red]{type(error).__name__}:[/] {plain(error)}", soft_wrap=True)
        return EXIT_MALFORMED
    except click.ClickException as error:
        error.show()
        return EXIT_MALFORMED
    except (KeyboardInterrupt, click.exceptions.Abort):
        notes.print("interrupted; finished files are whole and stay")
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0
