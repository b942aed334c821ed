# Each target builds `.venv` from requirements.lock first; CPython 3.11+ with pip is all it needs.
# ARGS reach the command:  make demo ARGS='--seconds 30'   make test ARGS='-k propensity'

PYTHON ?= python3
ARGS ?=
VENV := .venv
LOCKER := .venv-lock
UV_VERSION := 0.13.9
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test fuzz check tag bench chaos screenshots lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

install: $(VENV)/.installed ## build .venv from the lock file

demo: $(VENV)/.installed ## start the service with simulated visitors and watch it learn
	$(BIN)/bandit-service demo $(ARGS)

test: $(VENV)/.installed ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup $(ARGS)

fuzz: $(VENV)/.installed ## fuzz the API along its own description (ARGS='--seconds 600')
	$(BIN)/python -m tests.web.fuzzing $(ARGS)

check: $(VENV)/.installed ## lint, formatting, types, layers, known holes in what is locked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

tag: $(VENV)/.installed ## make the website's tag.js from its source
	$(BIN)/python .ci/tag.py

bench: $(VENV)/.installed ## measure throughput and latency
	$(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/.installed ## kill processes of a service under traffic, then audit its log
	$(BIN)/python -m tests.chaos $(ARGS)

screenshots: $(VENV)/.installed ## pictures of every page of the desk (ARGS=FOLDER)
	$(BIN)/python -m tests.desk.screenshots $(ARGS)

lock: $(LOCKER)/.installed ## write requirements.lock anew (ARGS=--upgrade for the newest versions)
	$(LOCKER)/bin/uv pip compile pyproject.toml --group dev --output-file requirements.lock \
		--universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-config \
		--custom-compile-command 'make lock' --quiet $(ARGS)

clean: ## remove everything that a target made, except the lock file
	rm -rf $(VENV) $(LOCKER) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made from nothing whenever the lock changes, so that it never holds more than the lock.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("CPython 3.11 or newer is needed: make PYTHON=/path/to/python3 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# On its own: a lock file that cannot be installed can still be written anew.
$(LOCKER)/.installed: Makefile
	$(PYTHON) -m venv --clear $(LOCKER)
	$(LOCKER)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
