"""The Kubernetes example fits its schemas and our rules, and its settings are right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docker.clustered import faults, loaded
from headrace.settings import load

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
OBJECTS = loaded(FOLDER)
SETTINGS = load(FOLDER / "headrace.toml")
# The oldest and the newest cluster that we claim.
VERSIONS = ("1.30", "1.34")
# Not of Kubernetes itself: its own operator, and kubectl alone, know them.
FOREIGN = ("ServiceMonitor", "Kustomization")

POD = "Deployment.spec.template.spec"
BOX = f"{POD}.containers.0"


def way(objects: Any, path: str) -> tuple[Any, Any]:
    """What holds the last part of a dotted path, and that part."""
    *names, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for name in names:
        objects = objects[name]
    return objects, last


def put(path: str, value: Any) -> Callable[[Any], None]:
    def change(objects: Any) -> None:
        holder, last = way(objects, path)
        holder[last] = value

    return change


def drop(path: str) -> Callable[[Any], None]:
    def change(objects: Any) -> None:
        holder, last = way(objects, path)
        del holder[last]

    return change


MUTATIONS: dict[str, tuple[Callable[[Any], None], str]] = {
    "root": (put(f"{POD}.securityContext.runAsUser", 0), "may run as root"),
    "no seccomp": (drop(f"{POD}.securityContext.seccompProfile"), "everything of the kernel"),
    "token": (drop(f"{POD}.automountServiceAccountToken"), "token of the cluster"),
    "host's network": (put(f"{POD}.hostNetwork", True), "sees the host"),
    "short stop": (put(f"{POD}.terminationGracePeriodSeconds", 20), "killed before"),
    "one node": (drop(f"{POD}.topologySpreadConstraints"), "on one node"),
    "writable root": (
        put(f"{BOX}.securityContext.readOnlyRootFilesystem", False),
        "root can be written to",
    ),
    "privileges": (drop(f"{BOX}.securityContext.allowPrivilegeEscalation"), "gain privileges"),
    "rights": (drop(f"{BOX}.securityContext.capabilities"), "keeps rights"),
    "latest": (put(f"{BOX}.image", "registry.example.org/headrace:latest"), "not pinned"),
    "no limit": (drop(f"{BOX}.resources.limits"), "no limit of memory"),
    "no request": (drop(f"{BOX}.resources.requests.cpu"), "what it needs"),
    "ready when alive": (
        put(f"{BOX}.readinessProbe.httpGet.path", "/healthz"),
        "readinessProbe does not ask /readyz",
    ),
    "dead when not ready": (
        put(f"{BOX}.livenessProbe.httpGet.path", "/readyz"),
        "livenessProbe does not ask /healthz",
    ),
    "other port": (put(f"{BOX}.ports.0.containerPort", 8080), "as in the settings"),
    "key in the file": (
        put(f"{BOX}.env.0", {"name": "HEADRACE_SNAPSHOT_KEY", "value": "x" * 32}),
        "has its value in the file",
    ),
    "secret for all": (drop(f"{POD}.volumes.1.secret.defaultMode"), "can be read by all"),
    "no such key": (put(f"{POD}.volumes.2.secret.items.0.key", "key"), "secret has no key"),
    "no such secret": (put(f"{POD}.volumes.1.secret.secretName", "other"), "no secret other"),
    "endless folder": (put(f"{POD}.volumes.3.emptyDir", {}), "fill the node's disk"),
    "unmounted": (drop(f"{BOX}.volumeMounts.1"), "mounts and volumes differ"),
    "writable settings": (drop(f"{BOX}.volumeMounts.0.readOnly"), "settings can be written to"),
    "budget of others": (
        put("PodDisruptionBudget.spec.selector.matchLabels", {"app": "x"}),
        "PodDisruptionBudget chooses other pods",
    ),
    "service of others": (put("Service.spec.selector", {"app": "x"}), "Service chooses other"),
    "open service": (put("Service.spec.type", "LoadBalancer"), "from outside the cluster"),
    "monitor of others": (
        put("ServiceMonitor.spec.selector.matchLabels", {"app": "x"}),
        "chooses another service",
    ),
    "open policy": (put("NetworkPolicy.spec.ingress", [{}]), "lets everybody through"),
    "one direction": (put("NetworkPolicy.spec.policyTypes", ["Ingress"]), "one direction open"),
    "a secret": (put("Secret.stringData.password", "hunter2"), "holds one"),
    "no budget": (drop("PodDisruptionBudget"), "there is no PodDisruptionBudget"),
}


def told(objects: Any) -> list[str]:
    return faults(objects, SETTINGS.worker.stop_within_s, SETTINGS.http.port)


def test_example_has_no_fault() -> None:
    assert told(OBJECTS) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_fault_put_into_the_example_is_found(name: str) -> None:
    change, sentence = MUTATIONS[name]
    changed = copy.deepcopy(OBJECTS)
    change(changed)
    assert any(sentence in fault for fault in told(changed)), told(changed)


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_fit_the_schemas_of_kubernetes(version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for kind, thing in OBJECTS.items():
        if kind not in FOREIGN:
            schemas.validate(thing, version, strict=True)
    broken = copy.deepcopy(OBJECTS["Deployment"])
    broken["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(schemas.ValidationError):
        schemas.validate(broken, version, strict=True)


def test_everything_but_the_example_of_a_secret_is_applied() -> None:
    listed = OBJECTS["Kustomization"]["resources"]
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert sorted(listed) == sorted(there - {"kustomization.yaml", "secret.example.yaml"})


def test_settings_name_files_that_are_mounted() -> None:
    (box,) = OBJECTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    mounts = {one["mountPath"]: one["name"] for one in box["volumeMounts"]}
    volumes = {v["name"]: v for v in OBJECTS["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    named = [SETTINGS.kafka.ca_file, SETTINGS.kafka.password_file, box["env"][0]["value"]]
    for path in named:
        folder, _, name = path.rpartition("/")
        assert name in [one["path"] for one in volumes[mounts[folder]]["secret"]["items"]]
    generator = OBJECTS["Kustomization"]["configMapGenerator"][0]
    assert generator["name"] == volumes["settings"]["configMap"]["name"]
    assert box["args"][-1] == f"/etc/headrace/settings/{generator['files'][0]}"
    assert "/etc/headrace/settings" in mounts


def test_workers_keep_their_snapshots_where_all_see_them() -> None:
    assert SETTINGS.worker.snapshots.startswith("s3://")
    assert SETTINGS.kafka.tls and SETTINGS.kafka.sasl.startswith("SCRAM")
    assert SETTINGS.kafka.replication >= 3
    assert not SETTINGS.kafka.allow_plaintext
