# Everything a fresh Debian machine with Python 3.11+ needs is made here.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Many tests wait for servers: twice as many workers as there are cores.
WORKERS ?= $(shell expr $$(nproc) '*' 2)
# Tests start the command hundreds of times: without bytecode each start takes twice as long.
export PYTHONDONTWRITEBYTECODE :=
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types unit coverage.xml bench generate format clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed; set PYTHON=...'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo 'python3 -m venv failed; on Debian: apt-get install python3-venv'; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## replay a bundled run as a live server, diagnose it over HTTP, write out/report.md
	$(BIN)/inferwatch demo --output out/report.md

test: lint types unit  ## everything CI checks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q --cov --cov-report=term:skip-covered

coverage.xml: unit  ## for diff-cover
	$(BIN)/coverage xml

bench: $(STAMP)  ## ratios against a plain loop, grep, other exporters and parsers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.logs
	$(BIN)/python -m benchmarks.exporter --growth

generate: $(STAMP)  ## what is made from the code: literals of signatures, manifests, rules, boards, plan's accuracy
	$(BIN)/python -m troubleshoot.logs.literal_table_writer
	$(BIN)/python -m exporter.deploy.generate
	$(BIN)/inferwatch alerts generate
	$(BIN)/inferwatch dashboards generate
	$(BIN)/python -m benchmarks.plan_accuracy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .node build dist out .coverage* coverage.xml .pytest_cache .mypy_cache .ruff_cache .hypothesis
