"""A DAG of Airflow 3 that orders a round each morning, and waits until its questions are asked.

Put it beside `order.py` in the folder of DAGs. The desk is the connection `headrace`: its host is
the address, its password the token of an operator.

    airflow connections add headrace --conn-type http --conn-host https://labels.example.org:8780 \
        --conn-password "$TOKEN"
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.exceptions import AirflowFailException
from airflow.sdk import Connection, dag, get_current_context, task
from order import RefusedError, order_round

LABELS = 20


@dag(
    schedule="0 7 * * 1-5",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
)
def headrace_round() -> None:
    """Order a round of questions."""

    @task(retries=3, retry_delay=timedelta(minutes=2))
    def order() -> dict[str, Any]:
        """The same run of the DAG has the same key, however often it is tried."""
        desk = Connection.get("headrace")
        run_id = get_current_context()["run_id"]
        try:
            return order_round(
                str(desk.host),
                str(desk.password),
                f"airflow {run_id}",
                labels=LABELS,
                reason="scheduled by Airflow",
            )
        except RefusedError as error:
            # Trying again would not help.
            raise AirflowFailException(str(error)) from None

    order()


dag_of_rounds = headrace_round()
