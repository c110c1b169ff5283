"""What the documents say exists: files, headings, commands, options, equations, formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pvcnn.campaign.artefacts.folder import PUBLIC_DIRECTORIES, PUBLIC_FILES
from pvcnn.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = sorted([*(ROOT / "pvcnn").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
FORMATS = (ROOT / "docs" / "formats.md").read_text()
ARGUMENT = (ROOT / "docs" / "security-argument.md").read_text()

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: A command and what follows it on its line, as far as it is the command's.
CALL = re.compile(r"(?<![\w./'-])pvcnn +([a-z][a-z-]*)((?: +[^\s|)#;&]+)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
#: A numbered equation stands on an indented line, its number at the end.
NUMBERED = re.compile(r"^ {4,}.*\((\d+)\)$", re.MULTILINE)
EQUATIONS = re.compile(r"eqs?\. ((?:\(\d+\)(?:, | and | or | to )?)+)")
FORMAT_NAME = re.compile(r'(?:FORMAT\b[^=\n]*= |Layout\(\s*)"(pvcnn-[a-z-]+)"')
#: How decoders take a field out of a map: its name is the first string.
FIELD = re.compile(
    r"\b(?:octets|integer|text|boolean|sequence|octets_sequence|integer_sequence|mappings?|printable"
    r'|_count|_double|_shape|_decode_number)\((?:\w+, )?"([a-z_0-9]+)"'
)

by_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(text: str) -> str:
    """Without code."""
    return SPAN.sub("", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The fragments by which a document's headings are linked."""
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in HEADING.findall(text)}


def snippets(text: str) -> Iterator[str]:
    """All code but Python, long lines joined: fenced and indented blocks, and code within sentences."""
    for language, block in FENCE.findall(text):
        if language != "python":
            yield block.replace("\\\n", " ")
    rest = FENCE.sub("", text)
    yield "\n".join(re.findall(r"^ {4}.*$", rest, re.MULTILINE)).replace("\\\n", " ")
    yield from (" ".join(span.split()) for span in SPAN.findall(rest))


def cited(text: str) -> set[int]:
    """The numbers of all equations that are cited as eq. (n), eqs. (n), (m) or eqs. (n) to (m)."""
    numbers: set[int] = set()
    for listed in EQUATIONS.findall(text):
        ends = [int(number) for number in re.findall(r"\d+", listed)]
        numbers.update(range(ends[0], ends[-1] + 1) if " to " in listed else ends)
    return numbers


@by_document
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(prose(path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), f"{target}: no such file"
        assert not fragment or fragment in anchors(linked.read_text()), f"{target}: no such heading"


@by_document
def test_commands_and_options_exist(path: Path) -> None:
    for snippet in snippets(path.read_text()):
        for command, rest in CALL.findall(snippet):
            assert command in cli.commands, f"pvcnn {command}: no such command"
            named = cli.commands[command]
            if isinstance(named, click.Group) and (inner := rest.split()):
                assert inner[0] in named.commands, f"pvcnn {command} {inner[0]}: no such command"
                named = named.commands[inner[0]]
            known = {name for parameter in named.params for name in parameter.opts}
            unknown = set(OPTION.findall(rest)) - known - {"--help"}
            assert not unknown, f"pvcnn {command}: no option {sorted(unknown)}"


def test_options_named_alone_exist_in_some_command() -> None:
    known = {
        name for command in cli.commands.values() for parameter in command.params for name in parameter.opts
    }
    for path in (ROOT / "docs" / "tutorials").glob("*.md"):
        for span in SPAN.findall(FENCE.sub("", path.read_text())):
            if span.startswith("--"):
                assert span.split()[0] in known, f"{path.name}: {span}"


def test_the_search_for_commands_finds_them() -> None:
    lines = (
        "pvcnn verify DIR --nonsense  # --json",
        "X=$(pvcnn encrypt a --tester b \\",
        "  --json | field --no)",
    )
    block = "\n".join(["```sh", *lines, "```"])
    calls = [call for snippet in snippets(block) for call in CALL.findall(snippet)]
    assert [(command, OPTION.findall(rest)) for command, rest in calls] == [
        ("verify", ["--nonsense"]),
        ("encrypt", ["--tester", "--json"]),
    ]


def test_equations_are_numbered_without_gaps() -> None:
    numbers = [int(number) for number in NUMBERED.findall(PROTOCOL)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", [*CODE, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_cited_equations_exist(path: Path) -> None:
    assert cited(path.read_text()) <= set(map(int, NUMBERED.findall(PROTOCOL)))


def test_every_equation_is_cited_by_the_code() -> None:
    numbers = set(map(int, NUMBERED.findall(PROTOCOL)))
    assert numbers - set().union(*(cited(path.read_text()) for path in CODE)) == set()


@pytest.mark.parametrize("path", [*CODE, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_cited_theorems_exist(path: Path) -> None:
    stated = re.findall(r"^\*\*((?:Theorem|Lemma|Proposition) \d+)", ARGUMENT, re.MULTILINE)
    assert len(stated) == len(set(stated)) == 6
    assert set(re.findall(r"security-argument\.md, (\w+ \d+)", path.read_text())) <= set(stated)


def test_the_search_for_equations_finds_them() -> None:
    assert cited("eq. (8) and eqs. (14), (15) and (16), see (99)") == {8, 14, 15, 16}
    assert cited("eqs. (1) to (3)") == {1, 2, 3}
    assert len(set().union(*(cited(path.read_text()) for path in CODE))) > 15


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_cited_documents_and_sections_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"\bdocs/[a-z-]+\.md", text):
        assert (ROOT / name).exists(), name
    for name, section in re.findall(r'(docs/[a-z-]+\.md), section "([^"]+)"', text):
        assert section in HEADING.findall((ROOT / name).read_text()), f"{name} has no section {section!r}"


def test_every_format_is_described() -> None:
    names = {name for path in CODE for name in FORMAT_NAME.findall(path.read_text())}
    assert len(names) > 20
    assert names <= set(HEADING.findall(FORMATS))


def test_every_hash_domain_is_described() -> None:
    domains = {name for path in CODE for name in re.findall(r'"(pvcnn/[a-z/-]+)"', path.read_text())}
    assert len(domains) > 10
    assert {domain for domain in domains if f"`{domain}`" not in FORMATS} == set()


def test_every_decoded_field_is_described() -> None:
    decoders = [path for path in CODE if "from_bytes" in path.read_text() and path.name != "encoding.py"]
    names = {name for path in decoders for name in FIELD.findall(path.read_text())}
    assert len(names) > 60
    assert {name for name in names if f"`{name}`" not in FORMATS} == set()


def test_every_public_file_is_described() -> None:
    names = {which.name for which in PUBLIC_FILES} | {f"{which.name}/NNNNNN" for which in PUBLIC_DIRECTORIES}
    assert {name for name in names if f"`public/{name}" not in FORMATS} == set()
