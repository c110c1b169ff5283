"""cluster/local.sh starts a head on loopback with a token, and stops it and nothing else."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.manifests import CLUSTER

SCRIPT = CLUSTER / "local.sh"
NOT_RUNNING = 3


class Head:
    """The script with settings of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            for each in (first, second, third):
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in (first, second, third)]
        self.port, self.dashboard, client = ports
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.environment = kept | {
            "PVCNN_RAY_DIRECTORY": str(directory),
            "PVCNN_RAY_PORT": str(self.port),
            "PVCNN_RAY_DASHBOARD_PORT": str(self.dashboard),
            "PVCNN_RAY_CLIENT_PORT": str(client),
            "PVCNN_RAY_OBJECT_STORE": str(80 << 20),
            "RAY": str(Path(sys.executable).with_name("ray")),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(SCRIPT), *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def session(self) -> int:
        """The process id of the head, and the id of the session of all its processes."""
        return int((self.directory / "process").read_text())

    def request(self, token: str | None) -> int:
        """The HTTP status of the job server's list of jobs."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.dashboard}/api/jobs/"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, headers=headers), timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.fixture
def head() -> Iterator[Head]:
    # Sockets lie there, and their paths are short by law.
    directory = Path(tempfile.mkdtemp(prefix="pvcnn-", dir="/tmp"))
    made = Head(directory)
    yield made
    made.run("stop")
    shutil.rmtree(directory)


def members(session: int) -> set[int]:
    """The processes of a session."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(after_name[3]) == session and after_name[0] != "Z":
                found.add(int(entry.name))
    return found


def address(hexadecimal: str) -> str:
    """How /proc/net/tcp and tcp6 write one: words of four bytes, each in the machine's order."""
    data = bytes.fromhex(hexadecimal)
    words = b"".join(data[place : place + 4][::-1] for place in range(0, len(data), 4))
    found = ipaddress.ip_address(words)
    return str(getattr(found, "ipv4_mapped", None) or found)


def listening(processes: set[int]) -> set[str]:
    """The addresses on which any of `processes` accepts TCP connections."""
    inodes = set()
    for process in processes:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(address(fields[1].partition(":")[0]))
    return found


def test_addresses_are_read_as_the_system_writes_them() -> None:
    if sys.byteorder == "little":
        assert address("0100007F") == address("0000000000000000FFFF00000100007F") == "127.0.0.1"
        assert address("00000000") == "0.0.0.0"
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        assert "0.0.0.0" in listening({os.getpid()})


def test_bash_can_read_it() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    assert os.access(SCRIPT, os.X_OK)


def test_start_and_stop(head: Head) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)", "ray start --head"])
    try:
        started = head.run("start", "--num-cpus", "1")
        assert started.returncode == 0, started.stderr
        session = head.session()
        processes = members(session)
        assert len(processes) > 3
        assert listening(processes) == {"127.0.0.1"}

        token = (head.directory / "token").read_text()
        assert (head.directory / "token").stat().st_mode & 0o777 == 0o600
        assert head.directory.stat().st_mode & 0o777 == 0o700
        assert token not in started.stdout + started.stderr + head.run("env").stdout
        for process in processes:
            assert token.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
        assert (head.request(token), head.request(None), head.request("0" * 64)) == (200, 401, 403)

        assert head.run("status").returncode == 0
        assert "runs already" in head.run("start").stdout
        assert head.session() == session

        assert head.run("stop").returncode == 0
        deadline = (
            time.monotonic() + 30
        )  # for a process of a group of its own, which ends when it misses its head
        while members(session) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert members(session) == set()
        assert not (head.directory / "token").exists()
        assert head.run("status").returncode == NOT_RUNNING
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_stop_leaves_a_process_alone_that_got_the_number_since(head: Head) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        (head.directory / "process").write_text(f"{other.pid}\n")
        assert head.run("status").returncode == NOT_RUNNING
        assert head.run("stop").returncode == 0
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


def test_a_head_that_cannot_start_says_why_and_leaves_nothing(head: Head) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", head.port))
        taken.listen()
        result = head.run("start", "--nonsense")
    assert result.returncode == 1
    assert "--nonsense" in result.stderr
    assert not (head.directory / "token").exists()


def test_a_directory_of_somebody_elses_is_refused(head: Head, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(head.directory)
    head.environment["PVCNN_RAY_DIRECTORY"] = str(link)
    result = head.run("start")
    assert result.returncode == 1
    assert "not a directory of yours" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("restart",)])
def test_usage(head: Head, arguments: tuple[str, ...]) -> None:
    result = head.run(*arguments)
    assert result.returncode == 2
    assert "cluster/local.sh start" in result.stderr
