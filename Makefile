# Everything from nothing: Python 3.11 or newer, GNU make and the package registries.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Prefect would otherwise report usage to its makers.
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
# Modules are compiled once, into .venv: else every command spends seconds on it.
unexport PYTHONDONTWRITEBYTECODE

# The sample ends on this day; its last month is the one the demo reports.
SAMPLE_AS_OF := 2026-09-30
SAMPLE_MONTH := 2026-09

# A worker for each processor, up to four, and each with one thread: more would wait for each other. A file's tests run
# in one worker, in the order of the files, so that what a file prepares is made once, and short files come last.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Form, rules, layers of imports.
define LINT
$(BIN)/ruff format --check .
$(BIN)/ruff check .
$(BIN)/lint-imports --no-logo
endef

# Types are checked beside the tests: alone they would take half a minute of one processor.
BESIDE_TYPES := $(MAKE) --no-print-directory --jobs=2 types

.PHONY: demo test test-all check bench validate lock docs sample clean types check-tests quick-tests all-tests
.DEFAULT_GOAL := demo

# uv itself comes from the lock, so its hash is checked by pip like every other.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "e2analytics needs Python 3.11 or newer; say: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing the locked environment into .venv ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ /p}' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed
	@rm -rf demo
	@mkdir demo
	@# The sample has a key of its own: its figures are those of the README, and the clinic's key stays out.
	@env -u E2ANALYTICS_KEY -u E2ANALYTICS_KEY_FILE PREFECT_HOME=$(CURDIR)/demo/prefect $(BIN)/e2analytics run --drop data/sample --store demo/store --as-of $(SAMPLE_AS_OF)
	@$(BIN)/e2analytics report --month $(SAMPLE_MONTH) --store demo/store --out demo/report

check: .venv/installed
	$(LINT)
	@$(BESIDE_TYPES) check-tests

test: .venv/installed
	$(LINT)
	@$(BESIDE_TYPES) quick-tests

test-all: .venv/installed
	$(LINT)
	@$(BESIDE_TYPES) all-tests

types:
	$(BIN)/mypy

check-tests:
	$(PYTEST) -q -m "not slow" tests --ignore tests/flows --ignore tests/browser --ignore tests/cli

quick-tests:
	$(PYTEST) -m "not slow"

all-tests:
	$(PYTEST) --cov --cov-report=term

bench: .venv/installed
	$(BIN)/python -m bench

validate: .venv/installed
	$(BIN)/python -m bench.validation

sample: .venv/installed
	$(BIN)/python -m e2analytics simulate data/sample --sample

docs: .venv/installed
	$(BIN)/e2analytics schemas
	$(BIN)/python -m e2analytics.run.evidence_page
	$(BIN)/python -m e2analytics.run.settings_page
	$(BIN)/python -m e2analytics.run.rules_page

lock:
	@test -x $(BIN)/uv || $(MAKE) .venv/installed
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --upgrade --output-file requirements.lock

clean:
	rm -rf .venv .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage demo dist build
