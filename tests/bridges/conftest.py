"""Labelling tools for tests of bridges."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridges.fake_label_studio import LEGACY, FakeLabelStudio
from bridges.studio import Studio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A bridge to a fake Label Studio, which is `studio.fake`."""
    monkeypatch.setenv("HEADRACE_LABEL_STUDIO_TOKEN", LEGACY)
    with FakeLabelStudio().running() as fake:
        made = Studio(fake, tmp_path)
        yield made
        made.bridge.close()
