"""A Faust app around a worker: `HEADRACE_SETTINGS=F.toml faust -A headrace.drivers.faust worker`.

Faust provides an app with a command line, services that start and stop in order,
signals, and room for agents of your own beside it (`from headrace.drivers.faust import app`).
Nothing of ours goes through its streams: docs/adr/0010-what-faust-does.md has the measurements.
`headrace worker --settings F.toml` starts the same app.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol

from ..adapters.faust_sensor import faust_sensor
from ..adapters.metrics.prometheus import registry_of
from ..adapters.metrics.serving import Served, serve
from ..errors import BadInput, BadSettings
from ..flow.training import new_log
from ..messages import Output
from ..report import Report
from ..report.building import combine_report
from ..settings import Settings, load_for_kafka
from .kafka import logs
from .kafka.client import faust_brokers, faust_credentials, import_extra
from .kafka.supervisor import WorkerSupervisor

SETTINGS = "HEADRACE_SETTINGS"
REPORT_S = 1.0
REDRAWN_S = 0.25
LOGGER = logging.getLogger("headrace.worker")


class WorkerScreen(Protocol):
    """A display of this worker in a terminal."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to draw it anew."""

    def update(self, report: Report) -> None:
        """Draw this report."""

    def note(self, sentence: str) -> None:
        """Show a sentence."""

    def happened(self, outputs: Sequence[Output]) -> None:
        """Show what was decided."""


def create_app(settings: Settings, service: FaustService | None = None) -> Any:
    """Return the Faust app of these settings; `service` runs the worker, as one of its services.

    It listens nowhere, creates no topic and stores no file; under `headrace worker` and `faust
    worker` alike it logs as the settings say. Raises `BadSettings`.
    """
    service = service or FaustService(settings)
    app = _make_app()(
        f"{settings.kafka.group}-faust",
        broker=faust_brokers(settings.kafka),
        broker_credentials=faust_credentials(settings.kafka),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir="",
        value_serializer="raw",
        Worker=_make_launcher(service),
    )
    if settings.worker.faust_sensor:
        faust_sensor(app, service.registry)
    app.service(_make_service_class(service))
    return app


def _make_app() -> type[Any]:
    """Return the class of the app, which connects to the brokers itself only if it has agents."""
    faust = import_extra("faust")

    class Boot(import_extra("faust.app").BootStrategy):  # type: ignore[misc]  # as above
        def server(self) -> Any:
            """Return the services to start with."""
            return super().server() if self.app.agents else ()

        def _should_enable_web(self) -> bool:
            # Faust's command line would open a port to all the world, whatever the app says.
            return False

    class App(faust.App):  # type: ignore[misc, name-defined]  # as above
        BootStrategy = Boot

        def _create_directories(self) -> None:
            # They would be for tables, where the worker was started: there are no tables.
            return

    return App


def _make_service_class(service: FaustService) -> type[Any]:
    """Return the service of the worker, as Faust wants it: a class, of which the app makes one."""
    base = import_extra("mode").Service

    class WorkerService(base):  # type: ignore[misc, valid-type]  # known at run time only
        """Runs the worker and its reports, and stops them within the deadline."""

        async def on_start(self) -> None:
            service.start()

        @base.task  # type: ignore[untyped-decorator]  # mode's, as its base
        async def _watch_worker(self) -> None:
            await service.wait_until_ended()
            if self.should_stop:
                return
            if isinstance(service.error, BadSettings | BadInput):
                # An operator has to act, and a traceback would not say how.
                LOGGER.error("%s", service.error)
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                await self.crash(service.error or RuntimeError("the worker ended by itself"))

        async def on_stop(self) -> None:
            await service.stop()

    return WorkerService


class FaustService:
    """A worker in a task of its own, its report once a second, and /metrics, /healthz, /readyz."""

    def __init__(self, settings: Settings, screen: WorkerScreen | None = None) -> None:
        self.settings = settings
        self.screen = screen
        self.supervisor = (
            WorkerSupervisor(settings)
            if screen is None
            else WorkerSupervisor(
                settings, note=screen.note, warn=screen.note, on_outputs=screen.happened
            )
        )
        self.report: Report = combine_report(settings, new_log(settings).trainer, {}, {})
        self.registry = registry_of(lambda: self.report, self.supervisor.timings)
        self.error: BaseException | None = None
        self._stop = asyncio.Event()
        self._served: Served | None = None
        self._why_not_ready = "starting"

    def start(self) -> None:
        """Start working. Raises `BadSettings` if the port of the metrics is not available."""
        if self.settings.http.port:
            self._served = serve(
                lambda: self.report,
                http=self.settings.http,
                ready=lambda: self._why_not_ready,
                registry=self.registry,
                on_note=LOGGER.warning,
            )
            LOGGER.info("metrics at %s", self._served.url)
        self._work = asyncio.create_task(self.supervisor.run(self._stop))
        self._tell = asyncio.create_task(self._show_reports())

    async def _show_reports(self) -> None:
        due_at = time.monotonic()
        while True:
            driver = self.supervisor.driver
            self._why_not_ready = self.supervisor.why_not_ready() or self.report.model.fault
            if driver is not None and driver.group.is_joined and time.monotonic() >= due_at:
                self.report = driver.make_report(self.supervisor.restarts_n)
                due_at = time.monotonic() + REPORT_S
            if self.screen is not None and self.screen.is_due:
                self.screen.update(self.report)
            await asyncio.sleep(REPORT_S if self.screen is None else REDRAWN_S)

    @property
    def code(self) -> int:
        """The exit code after the worker ended by itself: 2 if an operator has to act, else 0."""
        return 2 if isinstance(self.error, BadSettings | BadInput) else 0

    async def wait_until_ended(self) -> None:
        """Wait until the worker has ended, by itself or because it was stopped."""
        await asyncio.wait([self._work])
        if not self._work.cancelled():
            self.error = self._work.exception()

    async def stop(self) -> None:
        """Let the worker finish what is under way, for as long as the settings allow."""
        self._why_not_ready = "stopping"
        self._stop.set()
        deadline_s = self.settings.worker.stop_within_s
        done, _ = await asyncio.wait([self._work], timeout=deadline_s)
        if not done:
            LOGGER.warning("not done after %s s: what is under way will be repeated", deadline_s)
            self._work.cancel()
        self._tell.cancel()
        for task in (self._work, self._tell):
            with suppress(asyncio.CancelledError, Exception):
                await task
        if self._served is not None:
            self._served.close()


def set_up_logs(settings: Settings, screen: WorkerScreen | None) -> None:
    """Send all logging of this process where the settings say, or to the screen."""
    logs.set_up(settings.worker, None if screen is None else screen.note)


def _make_launcher(service: FaustService) -> type[Any]:
    """Return the class of Faust's worker, with our log lines and the exit code of the service."""
    base = import_extra("faust").Worker

    class Launcher(base):  # type: ignore[misc, valid-type]  # known at run time only
        def __init__(self, app: Any, *services: Any, **options: Any) -> None:
            options |= {"quiet": True, "loglevel": service.settings.worker.log_level}
            super().__init__(app, *services, **options)
            # The spinner would end with an escape code, in front of the first line of a log.
            self.spinner = None
            # Faust's command line switches this on, and its banner would name a port not served.
            app.conf.web_enabled = False
            set_up_logs(service.settings, service.screen)

        def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
            """Set up our logging, when Faust has set up its own."""
            set_up_logs(service.settings, service.screen)

        def execute_from_commandline(self) -> NoReturn:
            try:
                super().execute_from_commandline()
            except SystemExit as stopped:
                raise SystemExit(service.code or stopped.code) from None
            raise SystemExit(service.code)

    return Launcher


def __getattr__(name: str) -> Any:
    """`app`, made when Faust asks for it, from the file that `HEADRACE_SETTINGS` names."""
    if name != "app":
        raise AttributeError(name)
    path = os.environ.get(SETTINGS)
    if not path:
        raise BadSettings(f"{SETTINGS} is not set; must name the settings' file")
    app = create_app(load_for_kafka(Path(path)))
    globals()["app"] = app
    return app
