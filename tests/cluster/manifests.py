"""Checks of the Kubernetes manifests in cluster/: each returns its complaints, none if all is well.

The schema says how fields are spelt; the other checks say what the manifests promise about secrets,
limits, images and privileges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

Document = dict[str, Any]

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
FILES = ("base.yaml", "files.yaml", "raycluster.yaml", "rayjob.yaml")
SECRET_NAME = "pvcnn-cluster"
SECRET_PATH = "/run/secrets/pvcnn"

_SCHEMA = yaml.safe_load(Path(__file__).with_name("manifests.schema.yaml").read_text())
_IMAGE = re.compile(r"(?P<name>[a-z0-9./:-]+?):(?P<tag>[A-Za-z0-9_][\w.-]*)")
#: What the value of a variable or a command must not be named or hold: keys come in files.
_SECRET_WORDS = re.compile(r"secret|token|passw|private|credential|\bkey\b|_key", re.IGNORECASE)
_LONG_HEX = re.compile(r"[0-9a-fA-F]{32,}|[A-Za-z0-9+/]{43,}")


def documents(name: str) -> list[Document]:
    """All documents of one file of cluster/."""
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def document(name: str, kind: str) -> Document:
    """The one document of this kind in a file."""
    (found,) = [each for each in documents(name) if each["kind"] == kind]
    return found


def misspelt(manifest: Document) -> list[str]:
    """Against tests/cluster/manifests.schema.yaml."""
    Draft202012Validator.check_schema(_SCHEMA)
    errors = Draft202012Validator(_SCHEMA).iter_errors(manifest)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def pod_specs(manifest: Document) -> Iterator[tuple[str, Document]]:
    """The role of each pod that a manifest describes, and its specification."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Pod":
        yield "pod", spec
    if manifest["kind"] == "RayJob":
        yield "submitter", spec["submitterPodTemplate"]["spec"]
        spec = spec["rayClusterSpec"]
    if manifest["kind"] in ("RayJob", "RayCluster"):
        yield "head", spec["headGroupSpec"]["template"]["spec"]
        for group in spec["workerGroupSpecs"]:
            yield f"worker {group['groupName']}", group["template"]["spec"]


def containers(manifest: Document) -> Iterator[tuple[str, Document]]:
    for role, spec in pod_specs(manifest):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            yield f"{role}, {container['name']}", container


def loosely_pinned(manifest: Document, version: str) -> list[str]:
    """Images whose tag is missing, moves, or is not this version of pvcnn's."""
    found = []
    for where, container in containers(manifest):
        match = _IMAGE.fullmatch(container["image"])
        if match is None or not re.fullmatch(rf"{re.escape(version)}-(cpu|cuda)", match["tag"]):
            found.append(f"{where}: image {container['image']} is not pinned to pvcnn {version}")
    return found


def unlimited(manifest: Document) -> list[str]:
    """Containers without requests and limits, volumes without a bound, and jobs without an end."""
    found: list[str] = []
    for where, container in containers(manifest):
        for bound in ("requests", "limits"):
            missing = {"cpu", "memory"} - container.get("resources", {}).get(bound, {}).keys()
            found.extend(f"{where}: no {bound} of {resource}" for resource in sorted(missing))
    for role, spec in pod_specs(manifest):
        for volume in spec.get("volumes", ()):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                found.append(f"{role}: volume {volume['name']} may grow without limit")
    if manifest["kind"] == "RayJob":
        for field in ("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
            if field not in manifest["spec"]:
                found.append(f"the job sets no {field}")
        if manifest["spec"].get("shutdownAfterJobFinishes") is not True:
            found.append("the job leaves its cluster running")
    return found


def privileged(manifest: Document) -> list[str]:
    """Pods that could be root, gain privileges or write outside their volumes."""
    found = []
    for role, spec in pod_specs(manifest):
        security = spec.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            found.append(f"{role}: may run as root")
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            found.append(f"{role}: no seccomp profile")
        # The head's autoscaler asks the API server for pods; nobody else has business there.
        if role != "head" and spec.get("automountServiceAccountToken") is not False:
            found.append(f"{role}: gets a token of the Kubernetes API")
    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    found.extend(
        f"{where}: is not confined"
        for where, container in containers(manifest)
        if container.get("securityContext") != confined
    )
    return found


def exposed_secrets(manifest: Document) -> list[str]:
    """Secrets anywhere but in read-only files of the proving workers."""
    found = []
    for where, container in containers(manifest):
        for variable in container.get("env", ()):
            if "valueFrom" in variable or _SECRET_WORDS.search(variable["name"]):
                found.append(f"{where}: {variable['name']} may hold a secret in the environment")
    for role, spec in pod_specs(manifest):
        secrets = {
            volume["name"]: volume["secret"] for volume in spec.get("volumes", ()) if "secret" in volume
        }
        if secrets and not role.startswith("worker "):
            found.append(f"{role}: needs no secret")
        for name, secret in secrets.items():
            if secret["secretName"] != SECRET_NAME or secret.get("defaultMode") != 0o400:
                found.append(f"{role}: {name} is not {SECRET_NAME} with mode 0400")
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for mount in container.get("volumeMounts", ()):
                if mount["name"] in secrets and mount.get("readOnly") is not True:
                    found.append(f"{role}, {container['name']}: {mount['name']} is writable")
                if mount["name"] in secrets and container["name"] != "ray-worker":
                    found.append(f"{role}, {container['name']}: needs no secret")
    if "runtimeEnvYAML" in manifest.get("spec", {}):
        found.append("a runtime environment is stored and logged by Ray: there is none")
    found.extend(f"{text[:12]}...: looks like a key" for text in _texts(manifest) if _LONG_HEX.search(text))
    return found


def unauthenticated(manifest: Document) -> list[str]:
    """Clusters that let in whoever reaches a port, or prove on the head."""
    spec = manifest.get("spec", {})
    cluster = spec.get("rayClusterSpec", spec)
    if "headGroupSpec" not in cluster:
        return []
    found = []
    if cluster.get("authOptions", {}).get("mode") != "token":
        found.append("the cluster asks for no token")
    if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        found.append("workers may run on the head")
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (*_texts(key), *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


#: All checks but that of the version, which needs to be told it.
CHECKS: tuple[Callable[[Document], list[str]], ...] = (
    misspelt,
    unlimited,
    privileged,
    exposed_secrets,
    unauthenticated,
)
