"""A real MLflow server on loopback, over SQLite, in the environment that .ci/mlflow.sh makes."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from served import Served


class Server(Served):
    """An MLflow of its own."""

    UP_S_MAX = 120.0
    STOP_S_MAX = 20.0

    def command(self) -> list[str]:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        return [*command, "--artifacts-destination", str(self.folder / "artifacts")]

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_DISABLE_TELEMETRY": "true"}

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False
