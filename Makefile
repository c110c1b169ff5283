# The commands of the README. `.venv` is made on first use and again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: env demo test nightly

env: $(STAMP)

# torch first and by exact version: a range would pull gigabytes of CUDA packages.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet torch==2.13.0
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)

demo: env
	$(VENV)/bin/pvcnn demo

test: env
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

# Ten times the mutants of `make test`, others every day, and the table in docs/mutation.md written anew.
SEED ?= $(shell date +%Y%m%d)
MUTANTS ?= 100000

nightly: env
	$(VENV)/bin/python -m tests.mutation --number $(MUTANTS) --seed $(SEED) --processes 2 --document docs/mutation.md
