# Everything below sets itself up in .venv first; a second run uses it again. PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/installed
TORCH := torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench starter

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## Start the whole service for a moment and read ten sample lines and a form
	@$(BIN)/inkpost demo

test: $(READY)  ## Run all tests, on real PostgreSQL and Redis from the wheels (ARGS="-k name" for some)
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## Put the code into its style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Measure jobs and lines per second; the last line is one JSON document
	$(BIN)/python -m bench.service

starter: $(READY)  ## Train the starter model from scratch (about three and a half hours on two cores; needs npm and a word list)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[worker,training]'
	npm install --prefix training --no-package-lock --ignore-scripts --no-audit --no-fund
	$(BIN)/python -m training.fonts
	$(BIN)/python -m training.train --folder training/runs/first --minutes 100
	$(BIN)/python -m training.export --folder training/runs/first --target training/runs/first/model
	$(BIN)/python -m training.train --start-from training/runs/first/model --at 120 --minutes 213
	$(BIN)/python -m training.export
	$(BIN)/python -m training.heldout
	$(BIN)/python -m training.score training/runs/heldout/seen.tsv
	$(BIN)/python -m training.score training/runs/heldout/unseen.tsv

.venv: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Inkpost needs Python 3.11 or newer; name one with PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(TORCH)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[api,worker,embedded,training,dev]'
	@touch $@
