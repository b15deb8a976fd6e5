"""compose.yml fits the schema and our rules, and what it names is there."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from grafana.prometheus import program

from docker.composed import faults, loaded
from docker.dockerfiles import parsed
from headrace.settings import load

FOLDER = Path(__file__).parents[2] / "docker"
ROOT = FOLDER.parent
FILES = ("compose.yml", "compose.admin.yml")
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
COMPOSED = loaded((FOLDER / "compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSED["services"]


def faults_of_schema(composed: Any) -> list[str]:
    checked = jsonschema.Draft202012Validator(SCHEMA)
    return [f"{fault.json_path}: {fault.message}" for fault in checked.iter_errors(composed)]


def put(path: str, value: Any) -> Callable[[Any], None]:
    """Sets what a dotted path of the file leads to."""

    def change(composed: Any) -> None:
        *way, last = path.split(".")
        for name in way:
            composed = composed[name]
        composed[last] = value

    return change


def drop(path: str) -> Callable[[Any], None]:
    """Takes out what a dotted path of the file leads to."""

    def change(composed: Any) -> None:
        *way, last = path.split(".")
        for name in way:
            composed = composed[name]
        del composed[last]

    return change


MUTATIONS: dict[str, tuple[Callable[[Any], None], str]] = {
    "port for all": (put("services.grafana.ports", ["3000:3000"]), "beyond loopback"),
    "port on 0.0.0.0": (
        put("services.prometheus.ports", ["0.0.0.0:9090:9090"]),
        "beyond loopback",
    ),
    "port of a closed network": (
        put("services.kafka.ports", ["127.0.0.1:9092:9092"]),
        "can't be reached",
    ),
    "no memory limit": (drop("services.worker.mem_limit"), "no mem_limit"),
    "no limit of tasks": (drop("services.kafka.pids_limit"), "no pids_limit"),
    "writable root": (put("services.worker.read_only", False), "can be written to"),
    "root": (put("services.worker.user", "0:0"), "runs as root"),
    "rights kept": (drop("services.grafana.cap_drop"), "keeps rights"),
    "rights gained": (put("services.kafka.security_opt", []), "gain privileges"),
    "latest": (put("services.grafana.image", "grafana/grafana:latest"), "not pinned"),
    "no version": (put("services.kafka.image", "apache/kafka"), "not pinned"),
    "privileged": (put("services.worker.privileged", True), "has privileged"),
    "name": (put("services.worker.container_name", "worker"), "has container_name"),
    "password": (
        put("services.grafana.environment.GF_SECURITY_ADMIN_PASSWORD", "admin"),
        "stands in the file",
    ),
    "missing file": (
        put("services.prometheus.volumes", ["./none.yml:/etc/none.yml:ro", "prometheus:/data"]),
        "is not there",
    ),
    "writable file": (
        put("services.prometheus.volumes", ["./prometheus.yml:/p.yml", "prometheus:/data"]),
        "can be written to",
    ),
    "unknown volume": (put("services.worker.volumes", ["other:/state"]), "not declared"),
    "unused volume": (put("volumes.other", {}), "used by nobody"),
    "no order": (
        put("services.worker.depends_on.topics.condition", "service_started"),
        "does not wait",
    ),
    "no health": (put("services.kafka.healthcheck", {"disable": True}), "says nothing of its"),
    "open network": (put("networks.kafka", {}), "publishes nothing and can reach everything"),
    "endless memory file": (put("services.worker.tmpfs", ["/x"]), "has no size"),
}


@pytest.mark.parametrize("name", FILES)
def test_file_fits_the_schema_of_compose(name: str) -> None:
    assert faults_of_schema(loaded((FOLDER / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "change",
    [
        put("services.worker.memory", "1g"),
        put("services.worker.mem_limit", ["1g"]),
        put("services.kafka.healthcheck.intervall", "5s"),
        put("services.worker.depends_on.topics.condition", "ready"),
        put("service", {}),
    ],
)
def test_fault_of_form_is_found_by_the_schema(change: Callable[[Any], None]) -> None:
    changed = copy.deepcopy(COMPOSED)
    change(changed)
    assert faults_of_schema(changed)


def test_compose_has_no_fault() -> None:
    assert faults(COMPOSED, FOLDER) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_fault_put_into_compose_is_found(name: str) -> None:
    change, told = MUTATIONS[name]
    changed = copy.deepcopy(COMPOSED)
    change(changed)
    found = faults(changed, FOLDER)
    assert any(told in fault for fault in found), found


def test_password_comes_from_a_file_that_must_be_named() -> None:
    added = loaded((FOLDER / "compose.admin.yml").read_text(encoding="utf-8"))
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
    _, stages = parsed((FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    (check,) = stages[-1].texts("HEALTHCHECK")
    assert json.loads(check.split("CMD ")[1]) == SERVICES["worker"]["healthcheck"]["test"][1:]


def test_prometheus_finds_the_workers_by_name() -> None:
    config = loaded((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
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
