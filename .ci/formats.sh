#!/usr/bin/env bash
# Puts the labelling tools whose files we write and read into .formats, each in a folder of its own:
# tests_formats asks them. Nothing of them gets into the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN="${VENV:-.venv}/bin"

fetch() {
  local folder=".formats/$1"
  shift
  [ -e "$folder/.ready" ] && return
  "$BIN/python" -m uv pip install --quiet --python "$BIN/python" --target "$folder" "$@" ||
    "$BIN/python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$folder" "$@"
  touch "$folder/.ready"
}

# requests it wants without saying so.
fetch argilla 'argilla==2.8.0' 'requests<3'
# Of doccano the code that reads and writes files, without the server that it comes in.
fetch doccano --no-deps 'doccano==1.8.4'
fetch doccano-needs 'pandas<4' 'pydantic<2' 'chardet<8' 'pyexcel<0.8' 'seqeval<2'
# Of Snorkel what makes labelling functions, without torch, which they do not use.
fetch snorkel --no-deps 'snorkel==0.10.0' 'tqdm<5'
