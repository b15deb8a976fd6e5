"""Redis and RabbitMQ of the system's packages, on loopback, with a port and a folder of their own.

    with RedisServer(folder) as server:
        server.kill()
        server.start()          # the same port, the same records

No server outlives the program that started it, even if that is killed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pika
import redis

from kafka import certificates

UP_S_MAX = 90.0
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_ports(n):
    """Ports below those that Linux gives to outgoing connections."""
    found = []
    for port in range(20_000 + os.getpid() * 53 % 10_000, 32_000):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == n:
            return found
    raise AssertionError("no port is free")


class Server:
    """What both have in common: started, stopped, killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        certificates.write(folder / "tls")
        self._guards = []
        self._groups = []

    @property
    def ca(self):
        return self.folder / "tls" / "ca.pem"

    def launch(self, command, environment=None):
        with (self.folder / "server.log").open("ab") as log:
            guard = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("guard.py")), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
                cwd=self.folder,
            )
        self._guards.append(guard)
        self._groups.append(int(guard.stdout.readline()))

    def wait_until_up(self):
        until = time.monotonic() + UP_S_MAX
        while not self.is_up():
            if time.monotonic() > until:
                raise AssertionError((self.folder / "server.log").read_text()[-3000:])
            time.sleep(0.05)
        return self

    def kill(self):
        for guard in self._guards:
            guard.communicate(b"")
            guard.wait(30)
        self._guards, self._groups = [], []

    def pause(self):
        for group in self._groups:
            os.killpg(group, signal.SIGSTOP)

    def resume(self):
        for group in self._groups:
            os.killpg(group, signal.SIGCONT)

    def restart(self):
        self.kill()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class RedisServer(Server):
    """With `password` for everybody, and with `tls` over TLS alone."""

    def __init__(self, folder, *, password="", tls=False):
        super().__init__(folder)
        (self.port,) = free_ports(1)
        self.password, self.is_tls = password, tls

    def start(self):
        port, tls = str(self.port), self.folder / "tls" / "server.pem"
        listen = ["--port", port]
        if self.is_tls:
            listen = ["--port", "0", "--tls-port", port, "--tls-auth-clients", "no"]
            listen += ["--tls-cert-file", tls, "--tls-key-file", tls, "--tls-ca-cert-file", self.ca]
        # What was written outlives the death of the process; a loss of power is not tried.
        listen += ["--appendonly", "yes", "--save", ""]
        if self.password:
            listen += ["--requirepass", self.password]
        self.launch(
            ["redis-server", "--bind", "127.0.0.1", *map(str, [*listen, "--dir", self.folder])]
        )
        return self.wait_until_up()

    @property
    def url(self):
        return f"{'rediss' if self.is_tls else 'redis'}://127.0.0.1:{self.port}"

    def client(self):
        tls = {"ssl": True, "ssl_ca_certs": str(self.ca)} if self.is_tls else {}
        password = self.password or None
        return redis.Redis(port=self.port, host="127.0.0.1", password=password, protocol=2, **tls)

    def is_up(self):
        with suppress(redis.ConnectionError), self.client() as client:
            return client.ping()
        return False


class RabbitServer(Server):
    """In the clear at `url`, over TLS at `tls_url`; whose user and password are both guest."""

    def __init__(self, folder):
        super().__init__(folder)
        self.port, self.tls_port, self.names_port, self.own_port = free_ports(4)
        pem = self.folder / "tls" / "server.pem"
        settings = f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
        settings += f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
        settings += f"ssl_options.cacertfile = {self.ca}\n"
        settings += f"ssl_options.certfile = {pem}\nssl_options.keyfile = {pem}\n"
        (self.folder / "rabbitmq.conf").write_text(settings)
        (self.folder / "plugins").write_text("[].\n")

    def start(self):
        # Erlang's register of names would go on running by itself.
        names = shutil.which("epmd")
        self.launch([names, "-port", str(self.names_port), "-address", "127.0.0.1"])
        while not self._listens(self.names_port):
            time.sleep(0.02)
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        self.launch(
            [str(RABBITMQ)],
            {
                "RABBITMQ_NODENAME": f"headrace{self.port}@localhost",
                "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
                "RABBITMQ_LOG_BASE": str(self.folder / "log"),
                "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
                "RABBITMQ_PID_FILE": str(self.folder / "pid"),
                "RABBITMQ_DIST_PORT": str(self.own_port),
                # Two schedulers and no busy waiting: half the CPU of a start.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{loopback} +S 2:2 +sbwt none",
                "ERL_EPMD_PORT": str(self.names_port),
                "HOME": str(self.folder),
            },
        )
        return self.wait_until_up()

    def stop(self):
        """End it as an operator does. Killed, 3.10 at times leaves a queue without a leader."""
        number = int((self.folder / "pid").read_text())
        os.kill(number, signal.SIGTERM)
        until = time.monotonic() + UP_S_MAX
        while self._listens(self.own_port) and time.monotonic() < until:
            time.sleep(0.05)
        self.kill()

    @property
    def url(self):
        return f"amqp://127.0.0.1:{self.port}"

    @property
    def tls_url(self):
        return f"amqps://guest@127.0.0.1:{self.tls_port}"

    def connect(self):
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port))

    def is_up(self):
        # It listens a little before it lets anybody in.
        with suppress(pika.exceptions.AMQPError, OSError):
            self.connect().close()
            return True
        return False

    def _listens(self, port):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False
