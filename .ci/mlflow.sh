#!/usr/bin/env bash
# Puts an MLflow server, its client and this package into .mlflow, an environment of its own:
# tests_mlflow runs in there. Nothing of it gets into the environment of everybody.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=3.17.2
READY=".mlflow/ready-$VERSION"
[ -e "$READY" ] && exit
.ci/install.sh .mlflow --editable '.[mlflow]' "mlflow==$VERSION" 'pytest>=8' pandas
touch "$READY"
