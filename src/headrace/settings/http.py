"""The section `[http]`: where a run or a worker answers /metrics, /healthz and /readyz.

This module has the settings and their checks; the server is in `adapters.metrics.serving`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta

from .fields import Section, about


class HttpSettings(Section, frozen=True, kw_only=True):
    """[http]: /metrics, /healthz and /readyz, on one port. Read once, at the start."""

    host: Annotated[
        str,
        about(
            "Address to listen on. Anything but loopback should have `cert_file`; without, what it "
            "serves can be read by everybody who reaches the port, and a warning says so."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)], about("Port to listen on; 0: nothing is served.")
    ] = 0
    cert_file: Annotated[
        str,
        about("PEM file of our certificate and its chain; with it, TLS 1.2 or later is spoken."),
    ] = ""
    key_file: Annotated[str, about("PEM file of its key.")] = ""
    client_ca_file: Annotated[
        str,
        about(
            "PEM file of the authorities whose certificates a client has to show one of; empty: "
            "nobody has to. It holds for the probes as well."
        ),
    ] = ""


def faults_of_http(http: HttpSettings) -> list[str]:
    """List contradictions between settings that are each valid alone, with their paths.

    >>> faults_of_http(HttpSettings(cert_file="tls.crt"))
    ['http.cert_file is set without http.key_file; set both or neither']
    """
    faults = [] if http.host else ["http.host is empty; must be an address, such as 127.0.0.1"]
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(http, name) and not getattr(http, other):
            faults.append(f"http.{name} is set without http.{other}; set both or neither")
    if http.client_ca_file and not http.cert_file:
        faults.append("http.client_ca_file is set without http.cert_file; clients need TLS for it")
    return faults


def is_loopback(host: str) -> bool:
    """Whether a server that listens on this host can't be reached from another machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "metrics")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
