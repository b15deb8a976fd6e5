"""A pipeline of Kubeflow that orders a round, and waits until its questions are asked.

    python kubeflow_round.py    # writes kubeflow_round.yaml, to be uploaded

The container gets all of `order.py` as its program, so it needs no image of its own. The token of
an operator is the key `token` of the secret `headrace`:

    kubectl create secret generic headrace --from-literal=token="$TOKEN"
"""

from pathlib import Path

from kfp import compiler, dsl, kubernetes

HERE = Path(__file__).parent
PROGRAM = (HERE / "order.py").read_text(encoding="utf-8")


@dsl.container_component
def order(url: str, key: str, labels: int) -> dsl.ContainerSpec:
    """One order of a round."""
    return dsl.ContainerSpec(
        image="python:3.12-slim",
        command=["python", "-c", PROGRAM],
        args=[url, key, "--labels", labels, "--reason", "scheduled by Kubeflow"],
    )


@dsl.pipeline(name="headrace-round")
def headrace_round(url: str, labels: int = 20) -> None:
    """Order a round; a job that is tried again has the same key."""
    done = order(url=url, key=f"kubeflow {dsl.PIPELINE_JOB_ID_PLACEHOLDER}", labels=labels)
    done.set_retry(num_retries=3, backoff_duration="120s")
    done.set_caching_options(enable_caching=False)
    kubernetes.use_secret_as_env(
        done, secret_name="headrace", secret_key_to_env={"token": "HEADRACE_TOKEN"}
    )


if __name__ == "__main__":
    compiler.Compiler().compile(headrace_round, str(HERE / "kubeflow_round.yaml"))
