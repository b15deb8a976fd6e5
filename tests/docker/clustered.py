"""What is wrong with the Kubernetes example beyond its schemas: open, missing, or unlike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Mapped = Mapping[str, Any]

KINDS = (
    "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount",
    "ServiceMonitor",
)  # fmt: skip
PINNED = re.compile(r":\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$")


def loaded(folder: Path) -> dict[str, Any]:
    """Every object of the folder by its kind; each file holds one."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        (thing,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        assert thing["kind"] not in found, path
        found[thing["kind"]] = thing
    return found


def faults(objects: Mapped, stop_within_s: float, port: int) -> list[str]:
    """What is wrong, in sentences, given what the settings file says."""
    missing = [f"there is no {kind}" for kind in KINDS if kind not in objects]
    if missing:
        return missing
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    return [
        *_faults_of_pod(pod, stop_within_s),
        *_faults_of_container(pod["containers"][0], port),
        *_faults_of_mounts(pod, objects),
        *_faults_of_labels(objects),
        *_faults_of_policy(objects["NetworkPolicy"]["spec"], port),
        *_faults_of_rest(objects, port),
    ]


def _faults_of_pod(pod: Mapped, stop_within_s: float) -> Iterator[str]:
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) < 1000:
        yield "the pod may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod may call everything of the kernel"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod has a token of the cluster"
    if any(key in pod for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "the pod sees the host"
    if not pod.get("terminationGracePeriodSeconds", 30) > stop_within_s:
        yield "the pod is killed before worker.stop_within_s has passed"
    if not pod.get("topologySpreadConstraints"):
        yield "all pods may be on one node"
    if len(pod["containers"]) != 1:
        yield "the pod has more than the worker"


def _faults_of_container(container: Mapped, port: int) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root can be written to"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "it may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps rights of the kernel's"
    if not PINNED.search(container["image"]):
        yield "its image is not pinned to a version"
    resources = container.get("resources", {})
    if "memory" not in resources.get("limits", {}):
        yield "it has no limit of memory"
    if not {"cpu", "memory"} <= set(resources.get("requests", {})):
        yield "it does not say what it needs"
    for probe, path in (
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ):
        if container.get(probe, {}).get("httpGet") != {"path": path, "port": "metrics"}:
            yield f"{probe} does not ask {path}"
    if {"name": "metrics", "containerPort": port} not in container.get("ports", ()):
        yield f"its port is not {port}, as in the settings"
    yield from (f"{one['name']} has its value in the file" for one in _given(container))


def _given(container: Mapped) -> list[Any]:
    return [
        one
        for one in container.get("env", ())
        if re.search("PASSWORD|KEY|SECRET|TOKEN", one["name"])
        and "value" in one
        and not one["name"].endswith("_FILE")
    ]


def _faults_of_mounts(pod: Mapped, objects: Mapped) -> Iterator[str]:
    container, volumes = pod["containers"][0], {one["name"]: one for one in pod["volumes"]}
    mounted = {one["name"]: one for one in container["volumeMounts"]}
    if set(mounted) != set(volumes):
        yield f"mounts and volumes differ: {sorted(set(mounted) ^ set(volumes))}"
    keys = set(objects["Secret"]["stringData"])
    name = objects["Secret"]["metadata"]["name"]
    for volume in volumes.values():
        secret = volume.get("secret")
        if secret and secret["secretName"] != name:
            yield f"there is no secret {secret['secretName']}"
        if secret:
            yield from (
                f"the secret has no {one['key']}"
                for one in secret["items"]
                if one["key"] not in keys
            )
            if secret.get("defaultMode", 0o644) & 0o007:
                yield f"the secret in {volume['name']} can be read by all"
        if "hostPath" in volume:
            yield "it has a folder of the host"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield "it may fill the node's disk"
        mount = mounted.get(volume["name"], {})
        if "emptyDir" not in volume and mount.get("readOnly") is not True:
            yield f"{volume['name']} can be written to"


def _faults_of_labels(objects: Mapped) -> Iterator[str]:
    deployment = objects["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    chosen = {
        "Deployment": deployment["selector"]["matchLabels"],
        "PodDisruptionBudget": objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        "Service": objects["Service"]["spec"]["selector"],
        "NetworkPolicy": objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    }
    for constraint in deployment["template"]["spec"].get("topologySpreadConstraints", ()):
        chosen["topologySpreadConstraints"] = constraint["labelSelector"]["matchLabels"]
        if chosen["topologySpreadConstraints"] != labels:
            break
    yield from (f"{kind} chooses other pods" for kind, wanted in chosen.items() if wanted != labels)
    monitored = objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    if not monitored.items() <= objects["Service"]["metadata"].get("labels", {}).items():
        yield "ServiceMonitor chooses another service"


def _faults_of_policy(policy: Mapped, port: int) -> Iterator[str]:
    if policy.get("policyTypes") != ["Ingress", "Egress"]:
        yield "the policy leaves one direction open"
    for way in ("ingress", "egress"):
        for rule in policy.get(way, ()):
            if not rule.get("from" if way == "ingress" else "to"):
                yield f"the policy lets everybody through: {way}"
            if not rule.get("ports"):
                yield f"the policy opens every port: {way}"
    ports = [one["port"] for rule in policy.get("ingress", ()) for one in rule.get("ports", ())]
    if ports != [port]:
        yield f"the policy lets in other ports than {port}: {ports}"


def _faults_of_rest(objects: Mapped, port: int) -> Iterator[str]:
    service = objects["Service"]["spec"]
    if service.get("type", "ClusterIP") != "ClusterIP":
        yield "the service can be reached from outside the cluster"
    if [one["port"] for one in service["ports"]] != [port]:
        yield f"the service's port is not {port}"
    names = {one["name"] for one in service["ports"]}
    for endpoint in objects["ServiceMonitor"]["spec"]["endpoints"]:
        if endpoint["port"] not in names or endpoint["path"] != "/metrics":
            yield "ServiceMonitor asks at another place than the service's port"
    if any(objects["Secret"]["stringData"].values()) or "data" in objects["Secret"]:
        yield "the example of a secret holds one"
    budget = objects["PodDisruptionBudget"]["spec"]
    if budget.get("maxUnavailable", 0) != 1:
        yield "a drained node takes other than one worker at a time"
    if objects["ServiceMonitor"]["spec"].get("sampleLimit", 0) < 1:
        yield "ServiceMonitor has no limit of samples"
