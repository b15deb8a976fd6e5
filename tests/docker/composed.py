"""What is wrong with a compose file beyond its schema: open, unlimited, missing or unpinned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Mapped = Mapping[str, Any]

LOOPBACK = re.compile(r"^127\.0\.0\.1:\d+:\d+$")
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+$")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")
BUILT = "headrace:"
CONDITIONS = ("service_healthy", "service_completed_successfully")


def loaded(text: str) -> Any:
    """The file as Compose would have it, aliases and merges resolved."""
    return yaml.safe_load(text)


def faults(composed: Mapped, folder: Path) -> list[str]:
    """What is wrong, in sentences; `folder` is where the file stands, for what it mounts."""
    found = [
        f"{name}: {fault}"
        for name, service in composed["services"].items()
        for fault in _faults_of_service(service, composed, folder)
    ]
    found += list(_faults_of_networks(composed))
    used = {v.split(":")[0] for s in composed["services"].values() for v in s.get("volumes", ())}
    found += [
        f"the volume {name} is used by nobody" for name in composed["volumes"] if name not in used
    ]
    return found


def _faults_of_service(service: Mapped, composed: Mapped, folder: Path) -> Iterator[str]:
    image = service.get("image", "")
    if not PINNED.match(image):
        yield f"the image {image!r} is not pinned to a version with three numbers"
    if image.startswith(BUILT) and "build" not in service:
        yield "its image is ours and it does not build it"
    if service.get("read_only") is not True:
        yield "its root can be written to"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service:
        yield "it keeps rights of the kernel's"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "it may gain privileges"
    for limit in ("mem_limit", "cpus", "pids_limit"):
        if not service.get(limit):
            yield f"it has no {limit}"
    for key in ("privileged", "container_name", "network_mode", "pid", "ipc", "devices"):
        if key in service:
            yield f"it has {key}"
    if str(service.get("user", "")).split(":")[0] in ("0", "root"):
        yield "it runs as root"
    if "restart" not in service:
        yield "nobody starts it again"
    yield from _faults_of_ports(service)
    yield from _faults_of_mounts(service, composed, folder)
    yield from _faults_of_order(service, composed)
    for name, value in service.get("environment", {}).items():
        if SECRET.search(name) and not name.endswith("__FILE") and value:
            yield f"{name} stands in the file"


def _faults_of_ports(service: Mapped) -> Iterator[str]:
    for port in service.get("ports", ()):
        if not LOOPBACK.match(str(port)):
            yield f"the port {port} is open beyond loopback"
    if "expose" in service:
        yield "expose does nothing"


def _faults_of_mounts(service: Mapped, composed: Mapped, folder: Path) -> Iterator[str]:
    for mount in service.get("volumes", ()):
        source, target, *mode = mount.split(":")
        if not target.startswith("/"):
            yield f"{target} is no absolute path"
        if source.startswith("."):
            if not (folder / source).exists():
                yield f"{source} is not there"
            if mode != ["ro"]:
                yield f"{source} can be written to"
        elif source not in composed["volumes"]:
            yield f"the volume {source} is not declared"
    for mount in service.get("tmpfs", ()):
        if "size=" not in mount:
            yield f"{mount} has no size"


def _faults_of_order(service: Mapped, composed: Mapped) -> Iterator[str]:
    if not service.get("healthcheck"):
        yield "it has no healthcheck, and does not say that it needs none"
    for other, how in service.get("depends_on", {}).items():
        if how.get("condition") not in CONDITIONS:
            yield f"it does not wait until {other} is of use"
        check = composed["services"].get(other, {}).get("healthcheck", {})
        if how.get("condition") == "service_healthy" and "test" not in check:
            yield f"it waits for {other} to be healthy, which says nothing of its health"


def _faults_of_networks(composed: Mapped) -> Iterator[str]:
    networks = composed["networks"]
    for name, service in composed["services"].items():
        joined = service.get("networks", [])
        if not joined:
            yield f"{name}: it is in the network of all"
        yield from (f"{name}: the network {n} is not declared" for n in joined if n not in networks)
        is_open = [n for n in joined if not (networks.get(n) or {}).get("internal")]
        if is_open and not service.get("ports"):
            yield f"{name}: it publishes nothing and can reach everything, by {is_open[0]}"
        if service.get("ports") and not is_open:
            yield f"{name}: its port can't be reached: all its networks are internal"
