"""cluster/README.md: its links, files, commands and options exist, and its shell blocks can be read."""

from __future__ import annotations

import re
import subprocess

import pytest

from pvcnn.cli.main import cli
from tests.cluster import versions
from tests.cluster.manifests import CLUSTER
from tests.house import test_docs as documents

README = CLUSTER / "README.md"
TEXT = README.read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?<![\w./=-])pvcnn +([a-z][a-z-]*)((?: +[^\s|)#;&'\"]+|\"[^\"]*\")*)")


def test_links_lead_somewhere() -> None:
    documents.test_links_lead_somewhere(README)


def test_commands_and_options_exist() -> None:
    manifest = (CLUSTER / "rayjob.yaml").read_text()
    calls = [call for text in (*documents.snippets(TEXT), manifest) for call in CALL.findall(text)]
    assert {"prove", "aggregate", "submit", "verify"} <= {command for command, _ in calls}
    for command, rest in calls:
        assert command in cli.commands, f"pvcnn {command}: no such command"
        if "not built yet" in (cli.commands[command].help or ""):
            continue  # it has no options before it is
        known = {name for parameter in cli.commands[command].params for name in parameter.opts}
        unknown = set(documents.OPTION.findall(rest)) - known
        assert not unknown, f"pvcnn {command}: no option {sorted(unknown)}"


def test_files_exist() -> None:
    named = set(re.findall(r"(?<!private/)\bcluster/[\w.-]+", TEXT))
    assert {"cluster/local.sh", "cluster/rayjob.yaml", "cluster/base.yaml"} <= named
    assert {name for name in named if not (versions.ROOT / name.rstrip(".")).exists()} == set()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_shell_blocks_can_be_read(number: int) -> None:
    result = subprocess.run(["bash", "-n"], input=BLOCKS[number], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_versions_are_the_projects() -> None:
    assert f"Ray is {versions.ray()} everywhere" in TEXT
    tags = set(re.findall(r"pvcnn:(\d[\w.-]*)", TEXT))
    assert tags == {f"{versions.pvcnn()}-cpu", f"{versions.pvcnn()}-cuda"}


def test_no_token_in_a_command_line() -> None:
    assert not re.search(r"RAY_AUTH_TOKEN=|--token", TEXT)
