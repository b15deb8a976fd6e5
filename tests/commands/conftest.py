"""Workers of the simulation that have lived, and what they saved, for what is shown of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.saved_workers import KEY, Saved, lived
from simulation.cluster_worlds import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return lived(tmp_path_factory.mktemp("lived"))


@pytest.fixture
def saved(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", KEY)
    return Saved(world, tmp_path)
