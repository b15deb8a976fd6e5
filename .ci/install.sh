#!/usr/bin/env bash
# .ci/install.sh FOLDER PACKAGE...: puts packages into a virtual environment beside ours. uv needs
# seconds where pip needs minutes; pip takes over where uv can't be had or can't reach the index.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
folder=$1
shift
"$python" -m venv --clear "$folder"
"$python" -m uv pip install --quiet --python "$folder/bin/python" "$@" ||
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
