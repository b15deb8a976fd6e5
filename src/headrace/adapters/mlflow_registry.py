"""MLflow as a record of one stream: a run with its curve, versions of the model, their aliases.

Only this module uses `mlflow`. Everything here may be repeated: the same point of a curve changes
nothing, and a run or a version is looked up by our tag before it is created.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import BadInput, BadSettings
from ..settings.http import is_loopback
from .mlflow_model import DATA, LOADER

RUN_TAG, VERSION_TAG = "headrace.run", "headrace.version"
CHAMPION, CHALLENGER = "champion", "challenger"
METRICS_MAX = 1_000
"""How many metrics MLflow takes in one call."""

PARAMS_MAX = 100
VALUE_N_MAX = 500
"""The characters of a parameter that every store of MLflow takes."""

_PASSES = {
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "UNAVAILABLE",
}
"""MLflow's names of errors that may pass, so that a later attempt may help."""

_QUIET = {
    # MLflow would retry for minutes by itself; our callers report that the server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Away(Exception):  # noqa: N818 - reported, and tried again
    """The tracking server, or the server named `who`, does not answer at present."""

    def __init__(self, why: str, who: str = "MLflow") -> None:
        super().__init__(f"{who} does not answer: {why}")
        self.who = who


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A point of the curve: `step` is the labels so far, `at` seconds since the epoch."""

    step: int
    at: float
    values: Mapping[str, float]


def faults_of_uri(uri: str, *, allows_http: bool) -> list[str]:
    """Return what is wrong with the address of a tracking server, as sentences; [] if nothing.

    >>> faults_of_uri("http://mlflow.example.org:5000", allows_http=False)[0][:52]
    'the tracking server is reached by plain HTTP on mlfl'
    """
    url = urlsplit(uri)
    if url.username is not None or url.password is not None:
        return [
            "the address of the tracking server holds a name or a password; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        ]
    if url.scheme == "http" and not allows_http and not is_loopback(url.hostname or ""):
        return [
            f"the tracking server is reached by plain HTTP on {url.hostname}: models and a token "
            "could be read or changed on the way; use https://, or --allow-http"
        ]
    return []


class Registry:
    """One stream in MLflow: a run with its curve, and versions of a registered model.

    - `uri`: a tracking server or, to try it without one, `sqlite:///FILE`.
    - `experiment`, `name`: the names of the experiment and of the registered model.
    - `run_tag`: the value of the tag `headrace.run`, which tells this run from every other.

    Raises `BadSettings` where `mlflow-skinny` is not installed. Every method raises `Away`, and
    `BadSettings` for what MLflow refuses.
    """

    def __init__(self, uri: str, *, experiment: str, name: str, run_tag: str) -> None:
        for key, value in _QUIET.items():
            os.environ.setdefault(key, value)
        try:
            mlflow = import_module("mlflow")
        except ImportError as error:
            raise BadSettings(
                "MLflow's client is not installed: pip install 'headrace[mlflow]'"
            ) from error
        self._errors = import_module("mlflow.exceptions").MlflowException
        self._entities = import_module("mlflow.entities")
        self._client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment, self._name, self._run_tag = experiment, name, run_tag
        self.run_id = ""

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            # An error without a code of MLflow's never reached the server.
            code = getattr(error, "error_code", "INTERNAL_ERROR")
            if code in _PASSES:
                raise Away(text) from None
            raise BadSettings(f"MLflow refuses: {text}") from None
        except OSError as error:
            raise Away(str(error)) from None

    def open_run(self, *, stream: str, params: Mapping[str, str], settings: bytes) -> None:
        """Find the run with our tag, or create it; log new parameters and the settings' file."""
        with self._translate_errors():
            experiment = self._client.get_experiment_by_name(self._experiment)
            experiment_id = (
                self._client.create_experiment(self._experiment)
                if experiment is None
                else experiment.experiment_id
            )
            runs = self._client.search_runs(
                [experiment_id], f"tags.`{RUN_TAG}` = '{self._run_tag}'", max_results=1
            )
            if runs:
                run = runs[0]
            else:
                tags = {RUN_TAG: self._run_tag, "headrace.version": version("headrace")}
                run = self._client.create_run(experiment_id, tags=tags, run_name=stream)
            self.run_id = run.info.run_id
            logged = run.data.params
            new = [
                self._entities.Param(key, value[:VALUE_N_MAX])
                for key, value in params.items()
                if key not in logged
            ]
            for start in range(0, len(new), PARAMS_MAX):
                self._client.log_batch(self.run_id, params=new[start : start + PARAMS_MAX])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "settings.json"
                path.write_bytes(settings)
                self._client.log_artifact(self.run_id, str(path))

    def log_points(self, points: Sequence[MetricPoint]) -> None:
        """Log points of the curve, in order. To log a point again changes nothing."""
        metrics = [
            self._entities.Metric(name, value, max(0, int(point.at * 1_000)), point.step)
            for point in points
            for name, value in point.values.items()
        ]
        with self._translate_errors():
            for start in range(0, len(metrics), METRICS_MAX):
                self._client.log_batch(self.run_id, metrics[start : start + METRICS_MAX])

    def list_versions(self) -> dict[int, str]:
        """Return the numbers of our versions in the registry, with MLflow's number of each."""
        with self._translate_errors():
            try:
                versions = self._client.search_model_versions(f"name='{self._name}'")
            except self._errors as error:
                if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        ours = [entry for entry in versions if entry.tags.get(RUN_TAG) == self._run_tag]
        return {int(entry.tags[VERSION_TAG]): str(entry.version) for entry in ours}

    def register_version(self, number: int, content: bytes, tags: Mapping[str, str]) -> str:
        """Create version `number` with its file, which must be new; return MLflow's number."""
        with self._translate_errors():
            try:
                self._client.create_registered_model(self._name)
            except self._errors as error:
                if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
            place = f"versions/{number}"
            with tempfile.TemporaryDirectory() as folder:
                write_model(Path(folder), content)
                self._client.log_artifacts(self.run_id, folder, artifact_path=place)
            created = self._client.create_model_version(
                self._name,
                source=f"runs:/{self.run_id}/{place}",
                run_id=self.run_id,
                tags={RUN_TAG: self._run_tag, VERSION_TAG: str(number), **tags},
                await_creation_for=0,
            )
            return str(created.version)

    def resolve_alias(self, alias: str) -> int | None:
        """Return the number of our version that this alias points to; None without such an alias.

        Raises `BadInput` where it points to a version of another run.
        """
        with self._translate_errors():
            try:
                target = self._client.get_model_version_by_alias(self._name, alias)
            except self._errors as error:
                if getattr(error, "error_code", "") in (
                    "RESOURCE_DOES_NOT_EXIST",
                    "INVALID_PARAMETER_VALUE",
                ):
                    return None
                raise
        if target.tags.get(RUN_TAG) != self._run_tag:
            raise BadInput(
                f"the alias {alias} of {self._name} points to version {target.version}, which is "
                "not of this run; move it to one that is"
            )
        return int(target.tags[VERSION_TAG])

    def set_alias(self, alias: str, version_n: str | None) -> None:
        """Let an alias point to a version, by MLflow's number; with None remove the alias."""
        with self._translate_errors():
            if version_n is None:
                self._client.delete_registered_model_alias(self._name, alias)
            else:
                self._client.set_registered_model_alias(self._name, alias, version_n)


def write_model(folder: Path, content: bytes) -> None:
    """Write a model as MLflow stores one: the file, its loader, and the packages it needs."""
    (folder / DATA).write_bytes(content)
    needs = [f"{name}=={version(name)}" for name in ("headrace", "river", "numpy")]
    (folder / "requirements.txt").write_text("\n".join([*needs, "pandas"]) + "\n")
    model = import_module("mlflow.models").Model()
    model.add_flavor(
        "python_function",
        loader_module=LOADER,
        data=DATA,
        env={"pip": "requirements.txt"},
        python_version=platform.python_version(),
    )
    model.save(str(folder / "MLmodel"))
