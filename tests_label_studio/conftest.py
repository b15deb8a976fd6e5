"""One Label Studio for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_label_studio.server import PROGRAM, RealLabelStudio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLabelStudio]:
    if not PROGRAM.exists():
        pytest.skip("Label Studio is not installed here: make label-studio")
    with RealLabelStudio(tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture
def token_file(studio: RealLabelStudio, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(studio.personal)
    return path
