"""Labelling tools for tests of bridges, and a browser for those of the desk's page."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bridges.chromium import Chromium, Page
from bridges.desk_server import CLASSES, FEATURES, DeskServer, LittleRun, Open
from bridges.fake_label_studio import LEGACY, FakeLabelStudio
from bridges.studio import Studio
from headrace.messages import Features


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A bridge to a fake Label Studio, which is `studio.fake`."""
    monkeypatch.setenv("HEADRACE_LABEL_STUDIO_TOKEN", LEGACY)
    with FakeLabelStudio().running() as fake:
        made = Studio(fake, tmp_path)
        yield made
        made.bridge.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    folder = Path(tempfile.mkdtemp(prefix="headrace-chromium-"))
    browser = Chromium(folder)
    yield browser
    browser.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as opened:

        def open_one(
            features: Sequence[Features] = FEATURES,
            classes: Sequence[str] = CLASSES,
            role: str = "annotator",
            run: LittleRun | None = None,
            **settings: Any,
        ) -> DeskServer:
            made = DeskServer(tmp_path, features, list(classes), role, run, **settings)
            opened.callback(made.close)
            return made

        yield open_one


@pytest.fixture
def desk(open_desk: Open) -> DeskServer:
    return open_desk()


@pytest.fixture(scope="module")
def shared_page(chromium: Chromium) -> Iterator[Page]:
    opened = chromium.open_page()
    yield opened
    opened.close()


@pytest.fixture
def page(shared_page: Page) -> Page:
    """Empty, and a stranger everywhere: each desk has a port, and so a storage, of its own."""
    shared_page.forget()
    return shared_page
