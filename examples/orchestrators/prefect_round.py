"""A flow of Prefect 3 that orders a round, and waits until its questions are asked.

The token of an operator is the secret block `headrace-token`. To run it each morning:

    prefect deploy prefect_round.py:headrace_round --name mornings --cron "0 7 * * 1-5"
"""

from __future__ import annotations

from typing import Any

from order import NotDoneError, order_round
from prefect import flow, task
from prefect.blocks.system import Secret
from prefect.runtime import flow_run


def _may_help(task: Any, run: Any, state: Any) -> bool:
    """Whether it is tried again: not what the desk refuses."""
    return isinstance(state.result(raise_on_failure=False), NotDoneError)


@task(retries=3, retry_delay_seconds=120, retry_condition_fn=_may_help)
def order(url: str, key: str, labels: int) -> dict[str, Any]:
    """The same key orders once, however often it is tried."""
    token = Secret.load("headrace-token").get()
    return order_round(url, token, key, labels=labels, reason="scheduled by Prefect")


@flow(log_prints=True)
def headrace_round(url: str, labels: int = 20) -> dict[str, Any]:
    """Order a round of questions at the desk with this address."""
    found = order(url, f"prefect {flow_run.get_id()}", labels)
    print(f"round {found['key']}: {found['state']}")
    return found
