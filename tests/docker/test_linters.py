"""The image, the stack and the cluster example by the linters of others, which ask no network.

Each linter is tried on a fault as well: one that lets it pass, or that does not run, is no linter.
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
HADOLINT = ("hadolint", "--config", str(ROOT / ".hadolint.yaml"))
COMPOSE = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")
# The oldest and the newest cluster that we claim.
CLUSTERS = [
    ("kubernetes-validate", "--strict", "--kubernetes-version", version)
    for version in ("1.30", "1.34")
]
YAMLLINT = ("yamllint", "--strict", "--config-file", str(ROOT / ".yamllint.yaml"))

CLEAN = [
    (HADOLINT, "Dockerfile"),
    (COMPOSE, "compose.yml"),
    (COMPOSE, "compose.admin.yml"),
    *((linter, "kubernetes") for linter in CLUSTERS),
    (YAMLLINT, "."),
]

# What is put in whose place, and a part of what the linter must say.
BROKEN = [
    (HADOLINT, "Dockerfile", "WORKDIR /state", "WORKDIRR /state", "missing whitespace"),
    (HADOLINT, "Dockerfile", "WORKDIR /state", "WORKDIR state", "DL3000"),
    (HADOLINT, "Dockerfile", "USER 10001:10001", "USER 0:0", "DL3002"),
    (HADOLINT, "Dockerfile", "USER 10001:10001", "USER headrace", "DL3066"),
    (HADOLINT, "Dockerfile", "&& install -d", "&& sudo install -d", "DL3004"),
    (HADOLINT, "Dockerfile", "EXPOSE 9464", "EXPOSE 94640", "DL3011"),
    (HADOLINT, "Dockerfile", "COPY src", "ADD src", "DL3020"),
    (HADOLINT, "Dockerfile", "--from=build", "--from=built", "DL3022"),
    (HADOLINT, "Dockerfile", 'ENTRYPOINT ["headrace"]', "ENTRYPOINT headrace", "DL3025"),
    (HADOLINT, "Dockerfile", 'CMD ["python", "-c"', "CMD python -c", "DL3025"),
    (HADOLINT, "Dockerfile", "image.licenses=", "image.licence=", "DL3049"),
    (HADOLINT, "Dockerfile", "ARG REVISION=unknown", "ARG API_TOKEN", "DL3064"),
    (HADOLINT, "Dockerfile", "&& install -d", "&& ls | sort && install -d", "DL4006"),
    (HADOLINT, "Dockerfile", "RUN rm -rf", "RUN if rm -rf", "SC1072"),
    (COMPOSE, "compose.yml", "    mem_limit: 1g", "    memory: 1g", "'memory' does not match"),
    (COMPOSE, "compose.yml", "mem_limit: 1g", "mem_limit: [1g]", "mem_limit"),
    (COMPOSE, "compose.yml", "interval: 5s", "intervall: 5s", "intervall"),
    (COMPOSE, "compose.yml", "service_healthy", "ready", "'ready' is not one of"),
    (COMPOSE, "compose.yml", "services:", "service:", "'service'"),
    *(
        (linter, f"kubernetes/{name}.yaml", old, new, told)
        for linter in CLUSTERS
        for name, old, new, told in (
            ("deployment", "periodSeconds: 2", "periodSecond: 2", "periodSecond"),
            ("deployment", "replicas: 3", "replicas: three", "three"),
            ("deployment", "  selector:", "  selectors:", "'selector' is a required property"),
            ("network-policy", "port: 9464", "ports: 9464", "ports"),
        )
    ),
    (YAMLLINT, "compose.yml", "    cpus: 1.5", "    cpus: 1.5\n    cpus: 2", "duplication of key"),
    (YAMLLINT, "compose.yml", "unless-stopped", "no", "truthy"),
]  # fmt: skip


def lint(linter: tuple[str, ...], *paths: Path) -> tuple[int, str]:
    """Its exit code and all it says."""
    name, *words = linter
    program = Path(sysconfig.get_path("scripts")) / name
    done = subprocess.run(
        [program, *words, *paths], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("linter", "path"), CLEAN)
def test_linter_finds_no_fault(linter: tuple[str, ...], path: str) -> None:
    found = DOCKER / path
    is_folder = linter in CLUSTERS
    code, told = lint(linter, *(sorted(found.glob("*.yaml")) if is_folder else [found]))
    assert code == 0, told
    # Not of Kubernetes itself: kubectl alone, and an operator, know them.
    unknown = re.findall(r"find schema for kind (\w+)", told)
    assert unknown == (["Kustomization", "ServiceMonitor"] if is_folder else [])


@pytest.mark.parametrize(
    ("linter", "path", "old", "new", "fault"),
    [pytest.param(*row, marks=pytest.mark.long if i % 4 else []) for i, row in enumerate(BROKEN)],
)
def test_linter_finds_a_fault_that_is_put_in(
    linter: tuple[str, ...], path: str, old: str, new: str, fault: str, tmp_path: Path
) -> None:
    text = (DOCKER / path).read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / Path(path).name
    broken.write_text(text.replace(old, new), encoding="utf-8")
    code, told = lint(linter, broken)
    assert code != 0
    assert fault in told
