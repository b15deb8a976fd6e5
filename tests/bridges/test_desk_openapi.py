"""The desk's calls against their own description, with bodies and headers that are made up."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp.test_utils import TestServer

from bridges.test_desk import World, asked
from headrace.bridges.desk.server import Server

EXAMPLES_N = 8


async def _fuzz(world: World) -> tuple[int, str]:
    async with TestServer(Server(world.desk, world.people, world.run).app) as server:
        base = str(server.make_url("")).rstrip("/")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{base}/v1/openapi.json"),
            *("--url", base, "--header", f"Authorization: Bearer {world.tokens['operator']}"),
            *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES_N), "--seed", "7"),
            # A class has to be one of the stream's, which no description knows.
            *("--exclude-checks", "positive_data_acceptance"),
            *("--exclude-path", "/v1/login", "--exclude-path", "/v1/logout"),
            *("--no-color", "--workers", "1", "--suppress-health-check", "all"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=world.folder,
        )
        told, _ = await process.communicate()
        return await process.wait(), told.decode()


def test_every_call_does_what_its_description_says(tmp_path: Path) -> None:
    world = World(tmp_path, calls_per_s=10_000.0)
    world.desk.send([asked(f"r{i}") for i in range(50)])
    try:
        code, told = asyncio.run(_fuzz(world))
    finally:
        world.desk.close()
    assert code == 0, told
    assert "10 selected" in told
