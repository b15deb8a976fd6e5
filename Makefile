# Everything a newcomer needs; `make` alone tells what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE_READY := $(VENV)/.site-ready
# Two more than cores: tests of brokers and of programs beside them mostly wait.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')

# What a program compiles is kept for the next one that imports it, wherever writing it is turned off.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: experiments help demo demo-desk broker kafka test test-long label-studio formats mlflow orchestrators fuzz grafana-check dashboards torture soak lint format bench benchmarks docs site clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headrace needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	@touch $@

demo: $(READY)  ## set up, then run the demo: a drifting stream, annotators, a live view
	$(BIN)/headrace demo

demo-desk: $(READY)  ## set up, then label the demo's stream yourself, in the browser
	$(BIN)/headrace desk --demo $(ARGS)

broker: $(READY)  ## fetch what tests/kafka runs on: Apache Kafka, if there are Java 17 and Maven
	PYTHONPATH=tests $(BIN)/python -m kafka.broker

kafka: $(READY) broker  ## a broker on loopback for a first look, until Ctrl-C, and what to run beside it
	PYTHONPATH=tests $(BIN)/python -m kafka.look $(ARGS)

test: $(READY) broker  ## set up, then run all tests but the long ones
	@# Compiled once, not by each worker and by each program that a test starts.
	@$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long" $(ARGS)

test-long: $(READY) broker  ## the long tests: more clusters, kills, outages and seeds, the consoles of RUN.md
	@$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m long $(ARGS)

label-studio: $(READY)  ## the bridge on a real Label Studio, which is installed into .label-studio, 1 GB
	.ci/label_studio.sh
	$(BIN)/python -m pytest tests_label_studio $(ARGS)

formats: $(READY)  ## Argilla, doccano and Snorkel themselves take our files and give theirs; 0.9 GB into .formats
	.ci/formats.sh
	$(BIN)/python -m pytest tests_formats $(ARGS)

mlflow: $(READY)  ## a run in a real MLflow, which is installed into .mlflow, 1 GB
	.ci/mlflow.sh
	PYTHONPATH=tests .mlflow/bin/python -m pytest tests_mlflow $(ARGS)

orchestrators: $(READY)  ## the examples in Airflow, Prefect and Kubeflow's compiler; 0.5 GB into .orchestrators
	.ci/orchestrators.sh
	$(BIN)/python -m pytest tests_orchestrators $(ARGS)

fuzz: $(READY)  ## inputs made up by hypothesis, for as long as they last; ARGS="-k settings"
	HEADRACE_FUZZ_N=20000 $(BIN)/python -m pytest -n auto tests/fuzz $(ARGS)

grafana-check: $(READY)  ## set up, then check dashboards and alert rules, in a Prometheus too
	.ci/prometheus.sh
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/dashboards $(ARGS)

dashboards: $(READY)  ## write grafana/dashboards anew
	$(BIN)/python -m grafana.build

lint: $(READY)  ## format check, lint, types
	$(BIN)/yamllint --strict .
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## speed beside peers, as ratios to a bare river loop in the same process; bench/requirements.txt has the peers
	$(BIN)/python -m bench.speed peers $(ARGS)

benchmarks: $(READY)  ## docs/BENCHMARKS.md and its pictures, measured anew where the code is newer; ARGS="--no-runs" for the page alone
	$(BIN)/python -m bench.speed page $(ARGS)

experiments: $(READY)  ## the runs behind docs/RESULTS.md, resumable; ARGS="--quick" for two minutes
	$(BIN)/python -m bench.experiments $(ARGS)

torture: $(READY) broker  ## 50 workers killed at random instants, a minute without a broker; 2,000 simulated clusters
	HEADRACE_CLUSTERS=2000 $(BIN)/python -m pytest -n auto tests/simulation/test_clusters.py
	HEADRACE_KILLS=50 HEADRACE_OUTAGE_S=60 $(BIN)/python -m pytest -s tests/kafka/test_killed.py tests/kafka/test_outage.py $(ARGS)

soak: $(READY) broker  ## a worker at the highest rate it holds, for 20 minutes; ARGS="--minutes 5"
	$(BIN)/python bench/soak.py $(ARGS)

docs: $(READY)  ## write the generated pages anew
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/strategies.py
	$(BIN)/python docs/arrivals.py

$(SITE_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

site: $(SITE_READY)  ## build the docs as a site in out/site; a warning, such as a dead link, ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

clean:  ## remove what was set up
	rm -rf $(VENV) .kafka .label-studio .formats .mlflow .orchestrators .prometheus .pytest_cache .mypy_cache .ruff_cache .hypothesis
