# Everything that this project does, by name. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 4

.PHONY: help venv services demo test quick smoke check format bench docs clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

venv: $(VENV)/ready ## make .venv with the newest Python that works, and everything in it

$(VENV)/ready: pyproject.toml scripts/pythons
	@python=$$(scripts/pythons | head -n 1); \
	if [ -z "$$python" ]; then echo "Stoker needs CPython 3.11 or newer with SQLite 3.35; none was found" >&2; exit 1; fi; \
	echo "making $(VENV) with $$($$python --version) from $$python"; \
	$$python -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group test --group check --group bench
	@touch $@

services:
	@scripts/services

demo: venv ## run a real job on a SQLite file, with its progress in the terminal and in a page
	@$(BIN)/stoker demo $(ARGS)

test: venv services ## run all tests (under CI also the smoke part on every other Python of this machine)
	@$(BIN)/python -m compileall -q src  # once, not by each of the thousands of processes that the tests start
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal
	@if [ -n "$$CI" ]; then $(MAKE) --no-print-directory smoke; fi

quick: venv ## run the tests that take seconds and no server
	@$(BIN)/python -m pytest -n $(JOBS) -k "not postgres and not redis and not full" \
		tests/test_architecture.py tests/unit tests/conformance tests/simulation tests/app

smoke: venv ## run a part of the tests on every other Python of this machine
	@scripts/smoke

check: venv ## format, lint, types, architecture: fast
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright
	@$(BIN)/python -m pytest -q tests/test_architecture.py

format: venv ## format the code, and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: venv services ## measure, write the figures to bench/results, and quote them in the docs
	@$(BIN)/python -m bench
	@$(BIN)/python scripts/figures

docs: venv ## check the docs: links, and every snippet is run
	@$(BIN)/python -m pytest -q tests/docs

clean: ## remove what was made here
	@rm -rf $(VENV) .venv-smoke .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
