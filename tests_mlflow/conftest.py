"""One MLflow server for all tests here."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests_mlflow.server import Server

from commands.runs import Stream


def pytest_configure(config: pytest.Config) -> None:
    # What MLflow warns of in its own code is no fault of ours.
    config.addinivalue_line("filterwarnings", "ignore")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if find_spec("mlflow") is None:
        pytest.skip("MLflow is not installed here: make mlflow")
    with Server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(tmp_path)
