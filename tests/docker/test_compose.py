"""The stack is closed to all but loopback, what it names is there, and it fits the settings.

Whether it is what Compose takes, its schema says: test_linters.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana.prometheus import program

from headrace.settings import load

FOLDER = Path(__file__).parents[2] / "docker"
ROOT = FOLDER.parent
COMPOSED = yaml.safe_load((FOLDER / "compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSED["services"]
NETWORKS = COMPOSED["networks"]


@pytest.mark.parametrize("name", SERVICES)
def test_container_is_closed_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["image"].startswith("headrace:") == ("build" in service)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "restart", "healthcheck"} <= set(service)
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "user"} & set(service)
    assert all("size=" in mount for mount in service.get("tmpfs", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_port_is_on_loopback_and_what_has_none_reaches_nobody_outside(name: str) -> None:
    service = SERVICES[name]
    ports = service.get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    is_open = [net for net in service["networks"] if not NETWORKS[net].get("internal")]
    assert bool(is_open) == bool(ports)


def test_what_is_mounted_is_there_and_our_files_are_read_only() -> None:
    mounts = [mount.split(":") for one in SERVICES.values() for mount in one.get("volumes", ())]
    ours = [mount for mount in mounts if mount[0].startswith(".")]
    assert [source for source, *_ in ours if not (FOLDER / source).exists()] == []
    assert all(mode == ["ro"] for _, _, *mode in ours)
    assert {source for source, *_ in mounts if source[0] != "."} == set(COMPOSED["volumes"])


def test_services_wait_until_the_others_are_of_use() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
            else:
                assert how["condition"] == "service_completed_successfully"


def test_no_secret_stands_in_the_file() -> None:
    names = {name for one in SERVICES.values() for name in one.get("environment", {})}
    assert [name for name in names if re.search(r"PASSWORD|SECRET_|TOKEN|_KEY$", name)] == []


def test_password_comes_from_a_file_that_must_be_named() -> None:
    added = yaml.safe_load((FOLDER / "compose.admin.yml").read_text(encoding="utf-8"))
    environment = added["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/secrets/")
    (secret,) = added["secrets"].values()
    assert secret["file"].startswith("${GRAFANA_PASSWORD_FILE:?")
    first = SERVICES["grafana"]["environment"]
    assert first["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert [name for name in environment if "PASSWORD" in name and not name.endswith("FILE")] == []


def test_settings_of_the_worker_are_right_and_meet_their_neighbours() -> None:
    settings = load(FOLDER / "headrace.toml")
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert [f"PLAINTEXT://{server}" for server in settings.kafka.servers] == [advertised]
    assert settings.worker.snapshots.startswith("/state/")
    grace = str(SERVICES["worker"]["stop_grace_period"])
    assert float(grace.removesuffix("s")) > settings.worker.stop_within_s
    assert settings.http.port == 9464
    for text in (
        (FOLDER / "Dockerfile").read_text(encoding="utf-8"),
        str(SERVICES["worker"]["healthcheck"]["test"]),
    ):
        assert f"'127.0.0.1', {settings.http.port}" in text


def test_no_two_workers_get_in_each_others_way() -> None:
    worker = SERVICES["worker"]
    assert "ports" not in worker and "container_name" not in worker and "hostname" not in worker


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    version = SERVICES["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in pom


def test_check_of_health_is_that_of_the_image() -> None:
    check = json.dumps(SERVICES["worker"]["healthcheck"]["test"][1:])
    assert f"CMD {check}\n" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def test_prometheus_finds_the_workers_by_name() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    (scrape,) = (one for one in config["scrape_configs"] if one["job_name"] == "headrace")
    (found,) = scrape["dns_sd_configs"]
    assert found["names"] == ["worker"] and "worker" in SERVICES
    assert found["port"] == load(FOLDER / "headrace.toml").http.port
    shared = set(SERVICES["worker"]["networks"]) & set(SERVICES["prometheus"]["networks"])
    assert shared == {"metrics"}


def test_promtool_accepts_prometheus_yml_with_the_rules(tmp_path: Path) -> None:
    promtool = program("promtool")
    if promtool is None:
        pytest.skip("there is no promtool; .ci/prometheus.sh unpacks one")
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    mounts = [mount.split(":") for mount in SERVICES["prometheus"]["volumes"]]
    (rules,) = (source for source, target, *_ in mounts if target == "/etc/prometheus/rules")
    assert text.count("/etc/prometheus/rules/") == 1
    path = tmp_path / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus/rules/", f"{(FOLDER / rules).resolve()}/"))
    done = subprocess.run(
        [promtool, "check", "config", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(re.sub("sample_limit", "sample_limits", path.read_text()))
    done = subprocess.run(
        [promtool, "check", "config", str(path)], capture_output=True, check=False
    )
    assert done.returncode != 0
