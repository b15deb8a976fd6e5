"""How clients reach the brokers: what is refused, what is checked, and that no secret shows."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.drivers.kafka import client
from headrace.drivers.kafka.options import passed_on
from headrace.errors import BadSettings
from headrace.settings.kafka import KafkaSettings

aiokafka = pytest.importorskip("aiokafka", reason="the extra headrace[kafka] is not installed")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
certificates = pytest.importorskip("kafka.certificates")

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.PASSWORD, raising=False)


def scram(**changes: Any) -> KafkaSettings:
    chosen = {"servers": ["kafka-1:9093"], "tls": True, "sasl": "SCRAM-SHA-512", "username": "us"}
    return KafkaSettings(**(chosen | changes))


def refused(kafka: KafkaSettings) -> str:
    with pytest.raises(BadSettings) as caught:
        client.client_options(kafka)
    assert SECRET not in str(caught.value)
    return str(caught.value)


# -------------------------------------------------------------------------------- passwords


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.PASSWORD, f"{SECRET}\n")
    options = client.client_options(scram())
    assert options["sasl_plain_password"] == SECRET
    assert options["security_protocol"] == "SASL_SSL"


def test_a_file_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(client.PASSWORD, "the wrong one")
    file = tmp_path / "password"
    file.write_text(f" {SECRET}\n")
    options = client.client_options(scram(password_file=str(file)))
    assert options["sasl_plain_password"] == SECRET


def test_a_missing_password_is_told_without_showing_one(tmp_path: Path) -> None:
    assert f"environment variable {client.PASSWORD}" in refused(scram())
    file = tmp_path / "password"
    assert "can't be read (No such file" in refused(scram(password_file=str(file)))
    file.write_text(" \n")
    assert "empty" in refused(scram(password_file=str(file)))
    file.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(BadSettings, match="not UTF-8") as caught:
        client.read_password(scram(password_file=str(file)))
    assert caught.value.__cause__ is None


def test_no_repr_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.PASSWORD, SECRET)
    options, credentials = client.client_options(scram()), client.faust_credentials(scram())
    assert SECRET not in f"{options} {options!r} {credentials} {credentials!r}"
    assert SECRET not in repr(vars(credentials))
    assert options["sasl_plain_password"] + "" == SECRET


def test_a_request_that_holds_the_password_is_never_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(client.PASSWORD, SECRET)
    client.client_options(scram())
    admin = pytest.importorskip("aiokafka.protocol.admin")
    request = admin.SaslAuthenticateRequest_v1(f"\0us\0{SECRET}".encode())
    other = admin.SaslHandShakeRequest_v1("PLAIN")
    assert SECRET in str(request)
    with caplog.at_level(logging.DEBUG, "aiokafka.conn"):
        for one in (request, other):
            logging.getLogger("aiokafka.conn").debug("Request to %s:%d %d: %s", "h", 1, 2, one)
    assert SECRET not in caplog.text
    assert "PLAIN" in caplog.text


# --------------------------------------------------------------------------------- refusals


def test_settings_that_were_never_checked_are_refused_here() -> None:
    assert "SASL without TLS" in refused(scram(tls=False))
    assert "not on loopback" in refused(KafkaSettings(servers=["10.0.0.1:9092"]))


def test_faust_is_given_a_context_or_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.PASSWORD, SECRET)
    credentials = client.faust_credentials(scram())
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert isinstance(credentials.ssl_context, ssl.SSLContext)
    with pytest.raises(BadSettings, match="SASL without TLS"):
        client.faust_credentials(scram(tls=False))
    assert client.faust_credentials(KafkaSettings()) is None
    assert client.faust_credentials(KafkaSettings(tls=True)).protocol.value == "SSL"


def test_sasl_on_loopback_needs_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.PASSWORD, SECRET)
    near = scram(tls=False, servers=["127.0.0.1:9092"])
    assert client.client_options(near)["security_protocol"] == "SASL_PLAINTEXT"
    assert client.faust_credentials(near).protocol.value == "SASL_PLAINTEXT"


@pytest.mark.parametrize("name", ["aiokafka", "faust"])
def test_without_the_extra_one_is_told_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BadSettings, match=rf"{name}.*pip install 'headrace\[kafka\]'"):
        client.import_extra(name)


# -------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server` and `client`, each with an authority of its own and a certificate it signed."""
    folder = tmp_path_factory.mktemp("papers")
    certificates.write(folder / "server", "server")
    certificates.write(folder / "client", "client")
    return folder


def greeted(papers: Path, kafka: KafkaSettings, name: str = "127.0.0.1") -> bytes:
    """What a TLS server on loopback, that asks for a certificate of `client`, says to us."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(papers / "server" / "server.pem")
    if kafka.cert_file:
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(papers / "client" / "ca.pem")

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"in" if writer.get_extra_info("peercert") else b"in without a certificate")
        writer.close()

    async def run() -> bytes:
        async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server) as serving:
            port = serving.sockets[0].getsockname()[1]
            context = client.tls_context(kafka)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=name
            )
            said = await reader.read()
            writer.close()
            await writer.wait_closed()
            return said

    return asyncio.run(run())


def trusting(papers: Path, **changes: Any) -> KafkaSettings:
    return KafkaSettings(tls=True, **({"ca_file": str(papers / "server" / "ca.pem")} | changes))


def test_a_broker_is_believed_by_its_authority_alone(papers: Path) -> None:
    assert greeted(papers, trusting(papers)) == b"in without a certificate"
    for stranger in (str(papers / "client" / "ca.pem"), ""):
        with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get|self-signed"):
            greeted(papers, trusting(papers, ca_file=stranger))


def test_a_broker_must_have_the_name_it_was_called_by(papers: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'kafka-1'"):
        greeted(papers, trusting(papers), name="kafka-1")


def test_our_certificate_is_shown(papers: Path) -> None:
    own = str(papers / "client" / "client.pem")
    assert greeted(papers, trusting(papers, cert_file=own, key_file=own)) == b"in"
    assert client.tls_context(trusting(papers)).minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_are_no_certificates_are_told(papers: Path, tmp_path: Path) -> None:
    own, junk = str(papers / "client" / "client.pem"), tmp_path / "junk.pem"
    junk.write_text("junk")
    for changes, told in (
        ({"ca_file": str(junk)}, "kafka.ca_file is .*not what PEM files hold"),
        ({"ca_file": "nowhere.pem"}, "kafka.ca_file is 'nowhere.pem': can't be read"),
        ({"cert_file": own, "key_file": "nowhere.pem"}, "kafka.key_file is 'nowhere.pem': can't"),
        (
            {"cert_file": own, "key_file": str(papers / "server" / "server.pem")},
            "key and certificate differ",
        ),
    ):
        with pytest.raises(BadSettings, match=told):
            client.tls_context(trusting(papers, **changes))


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(papers: Path, tmp_path: Path) -> None:
    own = papers / "client" / "client.pem"
    key = serialization.load_pem_private_key(own.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    with pytest.raises(BadSettings, match=r"kafka\.key_file is encrypted"):
        client.tls_context(trusting(papers, cert_file=str(own), key_file=str(locked)))


# --------------------------------------------------------------------- options that pass through


def made(make: Callable[[], Any]) -> Any:
    """What is made inside a running loop, where aiokafka wants to be."""

    async def run() -> Any:
        found = make()
        # It was never started: there is nothing to stop, and it would complain.
        found._closed = True
        return found

    return asyncio.run(run())


def test_options_reach_the_clients_that_know_them() -> None:
    kafka = KafkaSettings(
        options={"client_rack": "a", "compression_type": "gzip", "group_instance_id": "w0"}
    )
    consumer, producer = aiokafka.AIOKafkaConsumer, aiokafka.AIOKafkaProducer
    assert passed_on(kafka, consumer) == {"client_rack": "a"}
    member = passed_on(kafka, consumer, is_member=True)
    assert member == {"client_rack": "a", "group_instance_id": "w0"}
    assert passed_on(kafka, producer) == {"compression_type": "gzip"}
    assert made(lambda: client.make_consumer(kafka, group="g"))._group_instance_id == "w0"
    assert made(lambda: client.make_consumer(kafka))._group_instance_id is None


def test_an_option_goes_before_what_we_would_say() -> None:
    kafka = KafkaSettings(options={"session_timeout_ms": 30_000})
    assert made(lambda: client.make_consumer(kafka, group="g"))._session_timeout_ms == 30_000


def test_an_option_that_is_ours_is_refused_with_the_setting_to_use() -> None:
    kafka = KafkaSettings(options={"bootstrap_servers": "x:1", "acks": 0})
    told = refused(kafka)
    assert "kafka.options.bootstrap_servers is set by kafka.servers; set that instead" in told
    assert "kafka.options.acks can't be set" in told


def test_an_option_that_nobody_knows_is_refused_with_the_nearest() -> None:
    kafka = KafkaSettings(options={"sesion_timeout_ms": 1})
    with pytest.raises(BadSettings, match="did you mean session_timeout_ms"):
        made(lambda: client.make_producer(kafka))


# ------------------------------------------------------------------------------------- tokens


def given_token() -> str:
    return "a.b.c"


def failing_token() -> str:
    raise RuntimeError("the provider is away")


def no_token() -> None:
    return None


def bearer(function: str, **changes: Any) -> KafkaSettings:
    token = f"{__name__}:{function}"
    return scram(**({"sasl": "OAUTHBEARER", "username": "", "token": token} | changes))


def test_a_token_comes_from_a_function_of_the_users() -> None:
    kafka = bearer("given_token")
    options = client.client_options(kafka)
    assert (options["sasl_mechanism"], options["security_protocol"]) == ("OAUTHBEARER", "SASL_SSL")
    assert "sasl_plain_password" not in options
    assert asyncio.run(options["sasl_oauth_token_provider"].token()) == "a.b.c"
    credentials = client.faust_credentials(kafka)
    assert asyncio.run(credentials.oauth_cb.token()) == "a.b.c"
    assert credentials.ssl_context is not None


@pytest.mark.parametrize(
    ("function", "told"),
    [("failing_token", "RuntimeError: the provider is away"), ("no_token", "gave NoneType")],
)
def test_a_token_that_is_none_is_told(function: str, told: str) -> None:
    options = client.client_options(bearer(function))
    with pytest.raises(BadSettings, match=told):
        asyncio.run(options["sasl_oauth_token_provider"].token())


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        (bearer("given_token", token=""), "kafka.sasl is 'OAUTHBEARER' without kafka.token"),
        (bearer("given_token", username="us"), "kafka.username is set and kafka.sasl is 'OAUTH"),
        (bearer("given_tokn"), "did you mean given_token"),
        (bearer("given_token", tls=False), "in plaintext to kafka-1:9093"),
        (scram(token="a:b"), "kafka.token is set and kafka.sasl is 'SCRAM-SHA-512'"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(kafka: KafkaSettings, told: str) -> None:
    assert told in refused(kafka)
