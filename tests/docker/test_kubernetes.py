"""The Kubernetes example is closed, its objects fit each other, and its settings are right.

Whether they are what Kubernetes takes, its schemas say: test_linters.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from headrace.settings import load

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
OBJECTS = {
    thing["kind"]: thing
    for path in sorted(FOLDER.glob("*.yaml"))
    for thing in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
SETTINGS = load(FOLDER / "headrace.toml")
DEPLOYMENT = OBJECTS["Deployment"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
(BOX,) = POD["containers"]
SERVICE = OBJECTS["Service"]["spec"]
MONITOR = OBJECTS["ServiceMonitor"]["spec"]
PORT = SETTINGS.http.port


def test_pod_is_closed_and_has_no_token_of_the_cluster() -> None:
    context = POD["securityContext"]
    assert context["runAsNonRoot"] is True and context["runAsUser"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert BOX["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD)


def test_container_is_pinned_and_bounded() -> None:
    assert re.search(r":\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", BOX["image"])
    assert "memory" in BOX["resources"]["limits"]
    assert {"cpu", "memory"} <= set(BOX["resources"]["requests"])


def test_pod_is_asked_where_the_worker_answers_and_stopped_when_it_has_stopped() -> None:
    assert {"name": "metrics", "containerPort": PORT} in BOX["ports"]
    for probe, path in (("startup", "healthz"), ("liveness", "healthz"), ("readiness", "readyz")):
        assert BOX[f"{probe}Probe"]["httpGet"] == {"path": f"/{path}", "port": "metrics"}
    assert POD["terminationGracePeriodSeconds"] > SETTINGS.worker.stop_within_s


def test_what_is_mounted_is_there_bounded_and_read_only() -> None:
    volumes = {one["name"]: one for one in POD["volumes"]}
    mounted = {one["name"]: one for one in BOX["volumeMounts"]}
    assert set(mounted) == set(volumes)
    for name, volume in volumes.items():
        assert "hostPath" not in volume
        assert ("emptyDir" in volume) != (mounted[name].get("readOnly") is True)
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]
        if "secret" in volume:
            assert volume["secret"]["secretName"] == OBJECTS["Secret"]["metadata"]["name"]
            assert volume["secret"]["defaultMode"] == 0o440
            keys = {one["key"] for one in volume["secret"]["items"]}
            assert keys <= set(OBJECTS["Secret"]["stringData"])


def test_example_of_a_secret_holds_none_and_no_variable_does() -> None:
    assert not any(OBJECTS["Secret"]["stringData"].values()) and "data" not in OBJECTS["Secret"]
    assert [one["name"] for one in BOX["env"] if not one["name"].endswith("_FILE")] == []


def test_all_choose_the_same_pods() -> None:
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    assert DEPLOYMENT["selector"]["matchLabels"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert SERVICE["selector"] == labels
    assert OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    spread = [one["labelSelector"]["matchLabels"] for one in POD["topologySpreadConstraints"]]
    assert spread and all(chosen == labels for chosen in spread)
    chosen = MONITOR["selector"]["matchLabels"].items()
    assert chosen <= OBJECTS["Service"]["metadata"]["labels"].items()


def test_only_the_port_of_metrics_is_let_in_and_nothing_is_open_to_all() -> None:
    policy = OBJECTS["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (let_in,) = policy["ingress"]
    assert let_in["from"] and [one["port"] for one in let_in["ports"]] == [PORT]
    assert all(rule["to"] and rule["ports"] for rule in policy["egress"])
    assert SERVICE.get("type", "ClusterIP") == "ClusterIP"
    (port,) = SERVICE["ports"]
    assert port["port"] == PORT
    (endpoint,) = MONITOR["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    assert MONITOR["sampleLimit"] > 0


def test_a_drained_node_takes_one_worker_at_a_time() -> None:
    assert OBJECTS["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_everything_but_the_example_of_a_secret_is_applied() -> None:
    listed = OBJECTS["Kustomization"]["resources"]
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert sorted(listed) == sorted(there - {"kustomization.yaml", "secret.example.yaml"})


def test_settings_name_files_that_are_mounted() -> None:
    mounts = {one["mountPath"]: one["name"] for one in BOX["volumeMounts"]}
    volumes = {one["name"]: one for one in POD["volumes"]}
    named = [SETTINGS.kafka.ca_file, SETTINGS.kafka.password_file, BOX["env"][0]["value"]]
    for path in named:
        folder, _, name = path.rpartition("/")
        assert name in [one["path"] for one in volumes[mounts[folder]]["secret"]["items"]]
    generator = OBJECTS["Kustomization"]["configMapGenerator"][0]
    assert generator["name"] == volumes["settings"]["configMap"]["name"]
    assert BOX["args"][-1] == f"/etc/headrace/settings/{generator['files'][0]}"
    assert "/etc/headrace/settings" in mounts


def test_workers_keep_their_snapshots_where_all_see_them() -> None:
    assert SETTINGS.worker.snapshots.startswith("s3://")
    assert SETTINGS.kafka.tls and SETTINGS.kafka.sasl.startswith("SCRAM")
    assert SETTINGS.kafka.replication >= 3
    assert not SETTINGS.kafka.allow_plaintext
