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
            "Address to listen on. For any address but loopback, set `cert_file`: without it "
            "everybody who reaches the port can read what is served, and a warning says so."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)], about("Port to listen on; 0: nothing is served.")
    ] = 0
    cert_file: Annotated[
        str,
        about("PEM file with our certificate and its chain; turns on TLS, 1.2 or later."),
    ] = ""
    key_file: Annotated[str, about("PEM file with the private key of that certificate.")] = ""
    client_ca_file: Annotated[
        str,
        about(
            "PEM file of the authorities that sign clients' certificates: a client has to show a "
            "certificate of one of them, health probes too. Empty: no client has to."
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
    """Whether what listens on this host is reached from this machine alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "metrics")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
