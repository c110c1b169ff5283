"""The container file builds from public files alone, and what it installs is what the tests run with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cluster import containerfile, versions
from tests.cluster.containerfile import complaints, copied, ignored, instructions
from tests.cluster.manifests import CLUSTER

TEXT = (CLUSTER / "Containerfile").read_text()
IGNORED = (CLUSTER / "Containerfile.dockerignore").read_text()


def test_no_check_complains() -> None:
    assert complaints(TEXT) == []


def test_versions_are_those_that_the_tests_run_with() -> None:
    assert versions.ray() == versions.installed("ray")
    assert versions.torch() == versions.installed("torch")
    assert versions.pvcnn() == versions.installed("pvcnn")
    assert versions.python() == f"{sys.version_info.major}.{sys.version_info.minor}"


MUTATIONS = {
    "latest": (("python:3.11.14-slim-bookworm AS", "python:latest AS"), "not a slim Python"),
    "no release": (("python:3.11.14-slim-bookworm AS", "python:3.11-slim AS"), "not a slim Python"),
    "another Python": (("python:3.11.14-slim-bookworm AS", "python:3.12.4-slim-bookworm AS"), "not a slim"),
    "a file from the network": (("USER ", "ADD https://example.org/x /x\nUSER "), "nothing pins"),
    "everything copied": (("COPY pvcnn /source/pvcnn", "COPY . /source"), "COPY .:"),
    "a folder of secrets": (("COPY pvcnn /source", "COPY private /source"), "COPY private:"),
    "a secret argument": (("ARG EXTRAS", "ARG INDEX_PASSWORD\nARG EXTRAS"), "INDEX_PASSWORD"),
    "a secret variable": (("USER ", "ENV RAY_AUTH_TOKEN=x\nUSER "), "RAY_AUTH_TOKEN"),
    "a secret mount": (("RUN pip", "RUN --mount=type=secret,id=x pip"), "needs no secret"),
    "root": (("USER 10001:10001", "USER root"), "runs as root"),
    "no user": (("USER 10001:10001\n", ""), "runs as root"),
    "another Ray": (('ray[default]==2.60.0"', 'ray[default]==2.59.0"'), "ray[default] is ['2.59.0']"),
    "another torch": (("torch==2.13.0", "torch==2.12.0"), "torch is ['2.12.0']"),
    "any torch": (("torch==2.13.0", "torch"), "torch is []"),
    "an unknown extra": (("EXTRAS=prover", "EXTRAS=prover,gpu"), "['gpu']"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_are_refused(name: str) -> None:
    (old, new), expected = MUTATIONS[name]
    assert old in TEXT
    found = complaints(TEXT.replace(old, new))
    assert any(expected in text for text in found), found


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "campaign/private/cluster/identity.cbor",
        "campaign/public/manifest.cbor",
        "private/cluster/encryption_secret_key.bin",
        "pvcnn/private/cluster/identity.cbor",
        "token",
        ".venv/bin/python",
        "pvcnn/__pycache__/cli.pyc",
        "tests/conftest.py",
    ],
)
def test_the_builder_never_sees(path: str) -> None:
    assert ignored(IGNORED, path)


def test_the_builder_sees_what_is_copied() -> None:
    sources = copied(instructions(TEXT))
    assert sources
    assert [source for source in [*sources, "pvcnn/cli/main.py"] if ignored(IGNORED, source)] == []


def test_what_is_copied_is_enough_to_install(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in copied(instructions(TEXT)):
        path = versions.ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    arguments = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *arguments, str(source)], check=True, timeout=120)
    (wheel,) = tmp_path.glob(f"pvcnn-{versions.pvcnn()}-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "pvcnn/cli/main.py" in names
    assert any(name.endswith(".safetensors") for name in names)


def test_the_image_is_named_as_the_manifests_name_it() -> None:
    assert f"-t pvcnn:{versions.pvcnn()}-cpu ." in TEXT
    assert containerfile.instructions("# a\nRUN a \\\n    b\n") == [containerfile.Instruction("RUN", "a  b")]
