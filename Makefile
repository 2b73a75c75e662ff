PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BENCHES = $(sort $(wildcard bench/[a-z]*.py))

.DEFAULT_GOAL := help
.PHONY: help demo test servers-test check format bench pins clean

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.light ## install what the pipelines need and code the embedded corpus into demo-root/
	@rm -rf demo-root
	$(BIN)/python -m pipelines demo

test: .venv/.all ## install everything and run the tests that start no servers
	$(BIN)/python -m pytest

servers-test: .venv/.all ## run the tests that start servers or clusters, or kill and resume for long
	$(BIN)/python -m pytest -m servers

check: .venv/.all ## check the format, the style and the types; change nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.all ## format the code and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.all ## run every benchmark at its small size
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python "$$bench" --quick; done

pins: | .venv/.made ## resolve every dependency anew and write constraints.txt
	rm -rf .venv/pins
	$(PYTHON) -m venv .venv/pins
	.venv/pins/bin/python -m pip install --quiet --upgrade setuptools wheel
	.venv/pins/bin/python -m pip install --quiet --no-build-isolation -e '.[all]'
	grep '^#' constraints.txt > .venv/pins/constraints.txt
	.venv/pins/bin/python -m pip freeze --all --exclude-editable --exclude pip >> .venv/pins/constraints.txt
	mv .venv/pins/constraints.txt constraints.txt
	rm -rf .venv/pins

clean: ## delete the environment and everything that was built
	rm -rf .venv demo-root build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made once, then installed into anew only when setup.py or a pin has changed. What `make test` needs
# includes what `make demo` needs, so `.all` leaves `.light` behind it, and `.light` is not rebuilt over `.all`.

.venv/.made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH: install Python 3.11, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.light: setup.py constraints.txt | .venv/.made
	@echo "installing into .venv; the first time this takes some minutes"
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation -e .
	@touch $@

.venv/.all: setup.py constraints.txt | .venv/.made
	@echo "installing into .venv; the first time this takes some minutes"
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation -e '.[all]'
	@touch .venv/.light $@
