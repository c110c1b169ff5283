"""`pvcnn inspect`: what lies in a campaign's public folder, or what one artefact says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pvcnn.campaign.artefacts.folder import PublicFolder
from pvcnn.campaign.joint.folder import JointFolder
from pvcnn.cli.options import json_option
from pvcnn.cli.output import plain, print_json, results, size, table
from pvcnn.encoding import read_json, read_map
from pvcnn.errors import CampaignError, DecodeError
from pvcnn.files import digest_of, read_bounded

MAX_BYTES = 64 << 20
#: Of a safetensors file. JSON takes far more room as objects.
MAX_HEADER_BYTES = 1 << 20
#: Longer byte strings are shown by their length and first bytes.
_SHOWN_BYTES = 32


@click.command("inspect")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@json_option
def inspect_command(path: Path, as_json: bool) -> None:
    """List the public files of the campaign or joint folder in PATH, or show one artefact's fields.

    Checks nothing.
    """
    if path.is_dir():
        _inspect_folder(path if JointFolder.is_at(path) else PublicFolder.find(path).path, as_json)
    elif path.is_file():
        _inspect_file(path, as_json)
    else:
        raise CampaignError(f"{path} does not exist")


def _inspect_folder(folder: Path, as_json: bool) -> None:
    files: list[dict[str, Any]] = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        sha256 = digest_of(path).hex()
        files.append(
            {
                "file": str(path.relative_to(folder)),
                "format": _format_of(_read(path)),
                "bytes": path.stat().st_size,
                "sha256": sha256,
            }
        )
    if as_json:
        print_json({"files": files})
        return
    shown = table(plain(folder), "file", "format", ">size", "SHA-256 begins")
    for each in files:
        name = each["format"].removeprefix("pvcnn-")
        shown.add_row(plain(each["file"]), plain(name), size(each["bytes"]), each["sha256"][:16])
    results.print(shown)


def _inspect_file(path: Path, as_json: bool) -> None:
    shown = _readable(_read(path))
    if as_json:
        print_json(shown)
    else:
        results.print_json(data=shown, ensure_ascii=True)


def _read(path: Path) -> dict[str, Any]:
    """The map that an artefact is; of published weights the header, with the format beside the tensors."""
    if path.suffix != ".safetensors":
        return read_map(read_bounded(path, MAX_BYTES), path.name, MAX_BYTES)
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        text = handle.read(min(length, MAX_HEADER_BYTES))
    try:
        header = read_json(text, path.name)
        return {**header.pop("__metadata__"), "tensors": header}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DecodeError(f"{path.name}: not a safetensors file of pvcnn's") from error


def _format_of(body: dict[str, Any]) -> str:
    """The format's name; that of the body, if it is a signed envelope."""
    name = str(body.get("format", "?"))
    inner = body.get("body")
    if isinstance(inner, bytes):
        return f"{read_map(inner, name, MAX_BYTES).get('format', '?')} (signed)"
    return name


def _readable(value: Any) -> Any:
    """Byte strings as artefacts, if they are maps themselves, or in hexadecimal, shortened."""
    match value:
        case dict():
            return {key: _readable(each) for key, each in value.items()}
        case list():
            return [_readable(each) for each in value]
        case bytes() if value[:1] > b"\xa0" and b"format" in value[:200]:
            return _readable(read_map(value, "nested artefact", MAX_BYTES))
        case bytes() if len(value) > _SHOWN_BYTES * 2:
            return f"{len(value)} bytes: {value[:_SHOWN_BYTES].hex()}..."
        case bytes():
            return value.hex()
        case _:
            return value
