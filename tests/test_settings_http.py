"""[http]: faults at once, and what is loopback."""

import pytest

from headrace.errors import BadSettings
from headrace.settings import Settings, parse
from headrace.settings.http import HttpSettings, is_loopback


def test_nothing_is_served_and_only_on_loopback_unless_told():
    assert (Settings().http.host, Settings().http.port) == ("127.0.0.1", 0)
    assert is_loopback(Settings().http.host)


def test_every_fault_is_told_at_once():
    with pytest.raises(BadSettings) as caught:
        parse({"http": {"host": "", "key_file": "k.pem", "client_ca_file": "ca.pem"}})
    assert caught.value.faults == [
        "http.host is empty; must be an address, such as 127.0.0.1",
        "http.key_file is set without http.cert_file; set both or neither",
        "http.client_ca_file is set without http.cert_file; clients need TLS for it",
    ]


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_is_a_port(port):
    with pytest.raises(BadSettings, match=r"http.port is"):
        parse({"http": {"port": port}})


@pytest.mark.parametrize("name", ["metrics_port", "metrics_host"])
def test_what_was_in_run_is_no_setting_any_longer(name):
    with pytest.raises(BadSettings, match=f"run.{name} is not a setting"):
        parse({"run": {name: 1}})


def test_all_together_is_well():
    pem = {"cert_file": "c.pem", "key_file": "k.pem", "client_ca_file": "ca.pem"}
    assert parse({"http": {"host": "0.0.0.0", "port": 9_100, **pem}}).http == HttpSettings(
        host="0.0.0.0", port=9_100, **pem
    )
