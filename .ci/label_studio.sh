#!/usr/bin/env bash
# Puts Label Studio, 1 GB, into .label-studio, an environment of its own: tests_label_studio starts it.
set -euo pipefail
cd "$(dirname "$0")/.."
READY=".label-studio/ready-1.23.2"
[ -e "$READY" ] && exit
.ci/install.sh .label-studio 'label-studio==1.23.2'
touch "$READY"
