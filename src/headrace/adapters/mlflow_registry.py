"""MLflow as a record of one stream: a run with its curve, versions of the model, their aliases.

The only place that meets `mlflow`. What is done here may be done again: a point of a curve is the
same point, and what has a name of ours is looked for before it is made.
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
"""So many metrics MLflow takes at once."""

PARAMS_MAX = 100
VALUE_N_MAX = 500
"""Characters of a parameter: every store takes so many."""

_PASSES = {
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "UNAVAILABLE",
}
"""MLflow's names of faults behind which asking later may help."""

_QUIET = {
    # It would ask for minutes by itself; whoever calls us tells that the server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Away(Exception):  # noqa: N818 - told, and tried again
    """The tracking server, or `who`, does not answer, or can't just now."""

    def __init__(self, why: str, who: str = "MLflow") -> None:
        super().__init__(f"{who} does not answer: {why}")
        self.who = who


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the curve: `step` is labels so far, `at` seconds."""

    step: int
    at: float
    values: Mapping[str, float]


def faults_of_uri(uri: str, *, allows_http: bool) -> list[str]:
    """What is wrong with the address of a tracking server; empty when nothing is.

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
    """One stream in MLflow, `name` in its registry of models.

    `uri` is a tracking server or, for a look without one, `sqlite:///FILE`. `run_tag` tells this
    run from every other. Raises `BadSettings` where `mlflow-skinny` is not installed; every method
    raises `Away`, and `BadSettings` for what MLflow refuses.
    """

    def __init__(self, uri: str, *, experiment: str, name: str, run_tag: str) -> None:
        for key, value in _QUIET.items():
            os.environ.setdefault(key, value)
        try:
            self._mlflow = import_module("mlflow")
        except ImportError as error:
            raise BadSettings(
                "MLflow's client is not installed: pip install 'headrace[mlflow]'"
            ) from error
        self._errors = import_module("mlflow.exceptions").MlflowException
        self._entities = import_module("mlflow.entities")
        self._client = self._mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment, self._name, self._run_tag = experiment, name, run_tag
        self.run_id = ""

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            # What has no code of MLflow's own never reached it.
            code = getattr(error, "error_code", "INTERNAL_ERROR")
            if code in _PASSES:
                raise Away(text) from None
            raise BadSettings(f"MLflow refuses: {text}") from None
        except OSError as error:
            raise Away(str(error)) from None

    def open_run(self, *, stream: str, params: Mapping[str, str], settings: bytes) -> None:
        """Find the run with our tag, or make it; with parameters and the settings whole."""
        with self._translate_errors():
            found = self._client.get_experiment_by_name(self._experiment)
            experiment_id = (
                self._client.create_experiment(self._experiment)
                if found is None
                else found.experiment_id
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
            there = run.data.params
            new = [
                self._entities.Param(key, value[:VALUE_N_MAX])
                for key, value in params.items()
                if key not in there
            ]
            for start in range(0, len(new), PARAMS_MAX):
                self._client.log_batch(self.run_id, params=new[start : start + PARAMS_MAX])
            self._log_file("settings.json", settings, "")

    def log(self, points: Sequence[Point]) -> None:
        """Points of the curve, in order. The same again changes nothing."""
        metrics = [
            self._entities.Metric(name, value, max(0, int(point.at * 1_000)), point.step)
            for point in points
            for name, value in point.values.items()
        ]
        with self._translate_errors():
            for start in range(0, len(metrics), METRICS_MAX):
                self._client.log_batch(self.run_id, metrics[start : start + METRICS_MAX])

    def versions(self) -> dict[int, str]:
        """Numbers of our versions in the registry, and MLflow's own number of each."""
        with self._translate_errors():
            try:
                found = self._client.search_model_versions(f"name='{self._name}'")
            except self._errors as error:
                if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        ours = [one for one in found if one.tags.get(RUN_TAG) == self._run_tag]
        return {int(one.tags[VERSION_TAG]): str(one.version) for one in ours}

    def register(self, number: int, content: bytes, tags: Mapping[str, str]) -> str:
        """A version with its file, which is not there yet; MLflow's number of it."""
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
            made = self._client.create_model_version(
                self._name,
                source=f"runs:/{self.run_id}/{place}",
                run_id=self.run_id,
                tags={RUN_TAG: self._run_tag, VERSION_TAG: str(number), **tags},
                await_creation_for=0,
            )
            return str(made.version)

    def alias(self, alias: str) -> int | None:
        """The number of our version that this alias points to; None for none, or not one of ours.

        Raises `BadInput` where it points to a version that is not ours.
        """
        with self._translate_errors():
            try:
                found = self._client.get_model_version_by_alias(self._name, alias)
            except self._errors as error:
                if getattr(error, "error_code", "") in (
                    "RESOURCE_DOES_NOT_EXIST",
                    "INVALID_PARAMETER_VALUE",
                ):
                    return None
                raise
        if found.tags.get(RUN_TAG) != self._run_tag:
            raise BadInput(
                f"the alias {alias} of {self._name} points to version {found.version}, which is "
                "not of this run; move it to one that is"
            )
        return int(found.tags[VERSION_TAG])

    def set_alias(self, alias: str, version_n: str | None) -> None:
        """Let an alias point to this version of MLflow's, or to none."""
        with self._translate_errors():
            if version_n is None:
                self._client.delete_registered_model_alias(self._name, alias)
            else:
                self._client.set_registered_model_alias(self._name, alias, version_n)

    def _log_file(self, name: str, content: bytes, place: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self._client.log_artifact(self.run_id, str(path), place or None)


def write_model(folder: Path, content: bytes) -> None:
    """A model as MLflow keeps one: the file, what loads it, and what that needs."""
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
