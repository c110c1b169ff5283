"""The Kubernetes manifests say what they promise, and the checks that say so can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import manifests, versions
from tests.cluster.manifests import Document, document, documents

ALL = [
    pytest.param(manifest, id=f"{name}-{manifest['metadata']['name']}")
    for name in manifests.FILES
    for manifest in documents(name)
]


def complaints(manifest: Document) -> list[str]:
    """Those of all checks; the schema's alone if it has any, since the others build on it."""
    found = manifests.misspelt(manifest)
    if found:
        return found
    found = [text for check in manifests.CHECKS for text in check(manifest)]
    return found + manifests.loosely_pinned(manifest, versions.pvcnn())


@pytest.mark.parametrize("manifest", ALL)
def test_no_check_complains(manifest: Document) -> None:
    assert complaints(manifest) == []


def test_every_manifest_is_checked() -> None:
    here = {path.name for path in manifests.CLUSTER.glob("*.yaml")}
    assert here == {*manifests.FILES, "ray-up.yaml"}  # test_ray_up.py has the last


def test_ray_is_the_one_that_the_tests_run_with() -> None:
    for name, kind in (("raycluster.yaml", "RayCluster"), ("rayjob.yaml", "RayJob")):
        spec = document(name, kind)["spec"]
        assert spec.get("rayClusterSpec", spec)["rayVersion"] == versions.ray() == versions.installed("ray")


def test_job_and_cluster_are_one_specification() -> None:
    cluster = document("raycluster.yaml", "RayCluster")["spec"]
    assert document("rayjob.yaml", "RayJob")["spec"]["rayClusterSpec"] == cluster


def test_groups_start_at_nothing_and_only_one_has_gpus() -> None:
    groups = document("raycluster.yaml", "RayCluster")["spec"]["workerGroupSpecs"]
    assert [(group["groupName"], group["minReplicas"], group["replicas"]) for group in groups] == [
        ("cpu", 0, 0),
        ("gpu", 0, 0),
    ]
    gpus = [
        container["resources"]["limits"].get("nvidia.com/gpu")
        for group in groups
        for container in group["template"]["spec"]["containers"]
    ]
    assert gpus == [None, "1"]


def test_the_jobs_line_survives_the_shells_that_read_it() -> None:
    """The submitter's shell strips single quotes, `ray job submit` adds double ones, a shell expands."""
    spec = document("rayjob.yaml", "RayJob")["spec"]
    line = spec["entrypoint"]
    assert line.startswith("sh -c 'pvcnn prove /campaigns/")
    assert line.count("'") == 2
    assert not set(line) & set('"$`\\\n')
    assert f"--secrets {manifests.SECRET_PATH} " in line
    deadline = int(line.split("--deadline ")[1].split()[0])
    assert deadline < spec["activeDeadlineSeconds"]  # so that prove ends by itself and says what is left


def test_workers_read_the_campaign_and_their_secrets_and_write_neither() -> None:
    spec = document("raycluster.yaml", "RayCluster")["spec"]
    for group in spec["workerGroupSpecs"]:
        (worker,) = group["template"]["spec"]["containers"]
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in worker["volumeMounts"]}
        assert mounts == {"/campaigns": True, manifests.SECRET_PATH: True, "/tmp": False}


def worker(job: Document, group: int = 0) -> Any:
    return job["spec"]["rayClusterSpec"]["workerGroupSpecs"][group]["template"]["spec"]


def rename(mapping: dict[str, Any], old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


MUTATIONS: dict[str, tuple[Callable[[Document], object], str]] = {
    "misspelt at the top": (
        lambda job: rename(job["spec"], "activeDeadlineSeconds", "activeDeadlineSecond"),
        "activeDeadlineSecond",
    ),
    "misspelt deep inside": (
        lambda job: rename(
            worker(job)["containers"][0]["securityContext"], "readOnlyRootFilesystem", "readOnly"
        ),
        "readOnly",
    ),
    "the older API": (lambda job: job.update(apiVersion="ray.io/v1alpha1"), "ray.io/v1"),
    "a number for a text": (
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        "num-cpus",
    ),
    "latest": (lambda job: worker(job)["containers"][0].update(image="pvcnn:latest"), "not pinned"),
    "no tag": (lambda job: worker(job)["containers"][0].update(image="pvcnn"), "not pinned"),
    "a port is no tag": (
        lambda job: worker(job)["containers"][0].update(image="host:5000/pvcnn"),
        "not pinned",
    ),
    "another version": (
        lambda job: worker(job)["initContainers"][0].update(image="pvcnn:0.0.9-cpu"),
        "not pinned",
    ),
    "a secret in the environment": (
        lambda job: worker(job)["containers"][0].update(env=[{"name": "CKKS_SECRET_KEY", "value": "x"}]),
        "CKKS_SECRET_KEY may hold a secret",
    ),
    "a secret's value under an innocent name": (
        lambda job: worker(job)["containers"][0].update(env=[{"name": "SEED", "value": "9f" * 32}]),
        "looks like a key",
    ),
    "a secret referred to": (
        lambda job: worker(job)["containers"][0].update(
            env=[
                {
                    "name": "X",
                    "valueFrom": {"secretKeyRef": {"name": "pvcnn-cluster", "key": "identity.cbor"}},
                }
            ]
        ),
        "X may hold a secret",
    ),
    "a runtime environment": (
        lambda job: job["spec"].update(runtimeEnvYAML="env_vars: {}"),
        "runtime environment",
    ),
    "secrets on the head": (
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"].append(
            copy.deepcopy(worker(job)["volumes"][2])
        ),
        "head: needs no secret",
    ),
    "secrets for the compiler": (
        lambda job: worker(job)["initContainers"][0]["volumeMounts"].append(
            {"name": "cluster-secrets", "mountPath": "/x", "readOnly": True}
        ),
        "compile-kernels: needs no secret",
    ),
    "writable secrets": (
        lambda job: worker(job)["containers"][0]["volumeMounts"][2].update(readOnly=False),
        "is writable",
    ),
    "readable secrets": (
        lambda job: worker(job)["volumes"][2]["secret"].update(defaultMode=0o444),
        "mode 0400",
    ),
    "no limits": (lambda job: worker(job)["containers"][0]["resources"].pop("limits"), "no limits of memory"),
    "no requests": (lambda job: worker(job, 1)["containers"][0].pop("resources"), "no requests of cpu"),
    "unbounded scratch": (lambda job: worker(job)["volumes"][1].update(emptyDir={}), "without limit"),
    "no deadline": (lambda job: job["spec"].pop("activeDeadlineSeconds"), "activeDeadlineSeconds"),
    "a cluster left running": (
        lambda job: job["spec"].update(shutdownAfterJobFinishes=False),
        "leaves its cluster running",
    ),
    "root": (lambda job: worker(job)["securityContext"].update(runAsUser=0), "may run as root"),
    "an API token": (lambda job: worker(job).pop("automountServiceAccountToken"), "Kubernetes API"),
    "capabilities": (
        lambda job: worker(job)["containers"][0]["securityContext"].pop("capabilities"),
        "not confined",
    ),
    "no token": (
        lambda job: job["spec"]["rayClusterSpec"].pop("authOptions"),
        "asks for no token",
    ),
    "proving on the head": (
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].pop("num-cpus"),
        "on the head",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutations_are_refused(name: str) -> None:
    mutate, expected = MUTATIONS[name]
    job = unaliased(document("rayjob.yaml", "RayJob"))
    mutate(job)
    assert any(expected in text for text in complaints(job)), complaints(job)


def unaliased(value: Any) -> Any:
    """A copy in which each place is an object of its own: an alias of YAML is one object in many places."""
    if isinstance(value, dict):
        return {key: unaliased(inner) for key, inner in value.items()}
    return [unaliased(inner) for inner in value] if isinstance(value, list) else value
