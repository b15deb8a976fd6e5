#!/usr/bin/env bash
# Puts Airflow, Prefect and the compiler of Kubeflow's pipelines into .orchestrators, an environment
# of their own: tests_orchestrators runs our examples there.
set -euo pipefail
cd "$(dirname "$0")/.."
READY=".orchestrators/ready-1"
[ -e "$READY" ] && exit
.ci/install.sh .orchestrators \
  'apache-airflow==3.3.2' 'prefect==3.7.7' 'kfp==2.17.3' 'kfp-kubernetes<3'
touch "$READY"
