"""A real Ray cluster on this machine, and what a test may see and do of the jobs on it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvcnn.algebra.warmup import compile_kernels
from pvcnn.compute.job_board import JobBoard
from pvcnn.compute.job_events import JobEvent, decode_line

OBJECT_STORE_BYTES = 100 << 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class RayHead:
    """address: of the job server. session: the directory with all that Ray leaves on its machines."""

    address: str
    gcs_address: str
    session: Path

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[RayHead]:
        from ray._private.utils import write_ray_address
        from ray.cluster_utils import Cluster

        compile_kernels()  # which workers would otherwise do while tests wait for them
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as directory:
            common: dict[str, Any] = {
                "object_store_memory": OBJECT_STORE_BYTES,
                # Ray tells a job's driver of the latest cluster below this directory, which is to be ours.
                "temp_dir": directory,
            }
            head = {"num_cpus": 0, "dashboard_host": "127.0.0.1", "dashboard_port": port}
            agent = {"include_dashboard": True, "dashboard_agent_listen_port": free_port()}
            cluster = Cluster(initialize_head=True, head_node_args={**head, **agent, **common})
            try:
                write_ray_address(cluster.gcs_address, directory)
                cluster.add_node(
                    num_cpus=2,
                    dashboard_agent_listen_port=free_port(),
                    runtime_env_dir_name="runtime_resources_of_worker",  # machines share no files
                    **common,
                )
                node: Any = cluster.head_node
                yield cls(f"http://127.0.0.1:{port}", cluster.gcs_address, Path(node.get_session_dir_path()))
            finally:
                cluster.shutdown()

    def log(self, job: str) -> str:
        """What the job has written so far."""
        path = self.session / "logs" / f"job-driver-{job}.log"
        return path.read_text() if path.exists() else ""

    def events(self, registry: bytes, job: str) -> list[JobEvent]:
        """All whole event lines of a job so far."""
        lines = self.log(job).split("\n")[:-1]
        return [event for line in lines if (event := decode_line(registry, line)) is not None]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.003)

    def driver(self, job: str) -> int:
        """The process that runs a job's entrypoint."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                environment = (process / "environ").read_bytes()
            except OSError:
                continue
            if b"run-job" in words and f'"{job}"'.encode() in environment:
                return int(process.name)
        raise AssertionError(f"{job} has no driver")

    def courier(self) -> int:
        """The process of this cluster's only courier."""
        mine = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"ray::Courier" in (process / "cmdline").read_bytes():
                    environment = (process / "environ").read_bytes()
                    if mine in environment.split(b"\0"):
                        return int(process.name)
        raise AssertionError("there is no courier")

    def kill_driver(self, job: str) -> None:
        os.kill(self.driver(job), signal.SIGKILL)

    def board(self, registry: bytes) -> JobBoard:
        return JobBoard(self.address, registry)
