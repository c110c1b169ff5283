"""cluster/ray-up.yaml, by Ray's own schema and by what it promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import yaml

from tests.cluster import versions
from tests.cluster.manifests import CLUSTER

CONFIGURATION: dict[str, Any] = yaml.safe_load((CLUSTER / "ray-up.yaml").read_text())


#: What `ray up` does before it touches a machine. In a process of its own: Ray reads its settings when it
#: is imported, and here is not the place to settle them for all tests.
VALIDATE = """
import json, sys
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config
verdicts = []
for configuration in json.load(sys.stdin):
    try:
        prepared = prepare_config(configuration)
        validate_config(prepared)
        verdicts.append(prepared["available_node_types"]["local.cluster.node"]["max_workers"])
    except ValidationError as error:
        verdicts.append(error.message)
print(json.dumps(verdicts))
"""
MISSPELT: dict[str, dict[str, Any]] = {
    "dokcer": {"dokcer": {}},
    "imge": {"docker": {**CONFIGURATION["docker"], "imge": "x"}},
    "ssh_usr": {"auth": {**CONFIGURATION["auth"], "ssh_usr": "x"}},
    "ten": {"idle_timeout_minutes": "ten"},
}


def test_ray_takes_it_and_refuses_misspelt_fields() -> None:
    configurations = [CONFIGURATION, *({**CONFIGURATION, **change} for change in MISSPELT.values())]
    result = subprocess.run(
        [sys.executable, "-c", VALIDATE],
        input=json.dumps(configurations),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    workers, *refusals = json.loads(result.stdout.splitlines()[-1])
    assert workers == len(CONFIGURATION["provider"]["worker_ips"])
    for field, refusal in zip(MISSPELT, refusals, strict=True):
        assert field in str(refusal)


def test_the_image_is_pinned() -> None:
    assert CONFIGURATION["docker"]["image"] == f"pvcnn:{versions.pvcnn()}-cpu"


def test_every_machine_asks_for_the_token_and_none_is_written_here() -> None:
    options = CONFIGURATION["docker"]["run_options"]
    assert "--env=RAY_AUTH_MODE=token" in options
    (path,) = [option.split("=")[2] for option in options if option.startswith("--env=RAY_AUTH_TOKEN_PATH=")]
    assert any(option.startswith("--volume=") and option.endswith(f":{path}:ro") for option in options)
    text = (CLUSTER / "ray-up.yaml").read_text()
    assert "RAY_AUTH_TOKEN=" not in text
    assert not re.search(r"[0-9a-f]{32}", text)


def test_ray_copies_no_secret() -> None:
    assert CONFIGURATION["file_mounts"] == {}
    assert not any("private" in option for option in CONFIGURATION["docker"]["run_options"])


def test_the_dashboard_stays_on_loopback_and_workers_off_the_head() -> None:
    (start,) = [line for line in CONFIGURATION["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--num-cpus=0" in start
