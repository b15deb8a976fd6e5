"""The examples in Airflow, Prefect and Kubeflow themselves, beside a real desk and a real run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridges.programs import Programs, a_run_and_a_desk
from commands.runs import lines_of

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "orchestrators"
FOLDER = ROOT / ".orchestrators"
WITHIN_S = 300.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    if not (FOLDER / "bin" / "python").exists():
        pytest.skip("the orchestrators are not installed here: make orchestrators")
    with a_run_and_a_desk(tmp_path_factory.mktemp("ordered")) as made:
        yield made


def run(folder: Path, *words: str, program: str = "python", **environment: str) -> str:
    """One of their programs, in an empty home; what it printed."""
    quiet = {
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(EXAMPLES),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [str(FOLDER / "bin" / program), *words],
        cwd=folder,
        env={**os.environ, **quiet, **environment},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
    return done.stdout + done.stderr


def orders(desk: Programs, of: str) -> list[dict[str, Any]]:
    path = desk.places.state / "orders.jsonl"
    found = lines_of(path) if path.exists() else []
    return [one for one in found if one["key"].startswith(of)]


def test_a_run_of_the_dag_orders_a_round(desk: Programs, tmp_path: Path) -> None:
    connection = json.dumps({"conn_type": "http", "host": desk.url, "password": desk.token})
    run(tmp_path, "db", "migrate", program="airflow")
    code = "from airflow_round import dag_of_rounds as d; r = d.test(); print('ended', r.state)"
    told = run(tmp_path, "-c", code, AIRFLOW_CONN_HEADRACE=connection)
    assert "ended success" in told
    [order] = orders(desk, "airflow ")
    assert (order["labels_n"], order["reason"]) == (20, "scheduled by Airflow")
    assert desk.token not in told
    # A token that is refused ends it at once: no try is left for it.
    wrong = json.dumps({"conn_type": "http", "host": desk.url, "password": "nobody's"})
    told = run(tmp_path, "-c", code, AIRFLOW_CONN_HEADRACE=wrong)
    assert "ended failed" in told
    assert len(orders(desk, "airflow ")) == 1


def test_a_run_of_the_flow_orders_a_round(desk: Programs, tmp_path: Path) -> None:
    code = f"""
from prefect.testing.utilities import prefect_test_harness
from prefect.blocks.system import Secret
from prefect_round import headrace_round
import os
with prefect_test_harness(server_startup_timeout={WITHIN_S}):
    Secret(value=os.environ["TOKEN"]).save("headrace-token")
    print("became", headrace_round({desk.url!r}, labels=3)["state"])
"""
    told = run(tmp_path, "-c", code, TOKEN=desk.token)
    assert "became asked" in told or "became refused" in told
    [order] = orders(desk, "prefect ")
    assert order["labels_n"] == 3
    assert desk.token not in told


def test_the_pipeline_is_compiled_and_its_program_orders_a_round(
    desk: Programs, tmp_path: Path
) -> None:
    code = """
import json, sys, yaml
from kfp import compiler
from kubeflow_round import headrace_round
compiler.Compiler().compile(headrace_round, "round.yaml")
whole = list(yaml.safe_load_all(open("round.yaml")))
print(json.dumps(whole))
"""
    told = run(tmp_path, "-c", code)
    [pipeline, platform] = json.loads(told[told.index("[{") : told.rindex("]") + 1])
    [executor] = pipeline["deploymentSpec"]["executors"].values()
    container = executor["container"]
    assert container["command"][:2] == ["python", "-c"]
    [secret] = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert "HEADRACE_TOKEN" in json.dumps(secret)
    # What the container would do, with what the pipeline would put into its arguments.
    words = [
        word.replace("{{$.inputs.parameters['url']}}", desk.url)
        .replace("{{$.inputs.parameters['key']}}", "kubeflow 1")
        .replace("{{$.inputs.parameters['labels']}}", "2")
        for word in (*container["command"][1:], *container["args"])
    ]
    done = subprocess.run(
        [str(FOLDER / "bin" / "python"), *words],
        env={**os.environ, "HEADRACE_TOKEN": desk.token},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    assert len(orders(desk, "kubeflow ")) == 1
