# Every command works on a machine with Python 3.11 or newer and make: it sets up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
RUN_STAMP := $(VENV)/.run
DEV_STAMP := $(VENV)/.dev
COMPILED_STAMP := $(VENV)/.compiled
BENCH_STAMP := $(VENV)/.bench
DIST_VENV := .venv-dist
DIST_STAMP := $(DIST_VENV)/.dist
# Generated data is the same in every run; another seed tries other data.
SEED ?= 20260101
# Three for each core of a small machine: many tests wait for a server or for a time limit.
WORKERS ?= 6
# The commands start many Python processes. Without compiled files (container images often set this variable) each process
# compiles what it imports: collecting the tests takes 20 s of CPU instead of 9 s, a command of payex-billing twice as much.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := -m pip --disable-pip-version-check --no-input install --quiet
PIP := $(PY) $(INSTALL)

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster mock check test test-more nightly generate check-generated contract contract-diff contract-score guard-score change-cost learn-score lint types types-mypy types-pyright coverage docs-provenance bench pictures docs dist matrix lock api-diff release-check portable wheel-test clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "payex-billing needs Python 3.11 or newer; this is %s. Name another: make PYTHON=python3.12" % sys.version.split()[0])'
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): $(VENV)/pyvenv.cfg requirements/run.txt pyproject.toml
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(RUN_STAMP) ## The main job on the embedded mock: charges of examples/charges.csv, created, changed, compared
	@$(PY) examples/demo.py examples/charges.csv

demo-cluster: $(DEV_STAMP) ## 20,000 charges by 4 workers of a Dask cluster over PostgreSQL, two of which are killed
	@$(PY) -m tools.demo_cluster

mock: $(RUN_STAMP) ## Serve the mock until Ctrl-C (ARGS="--port 8080 --ledger 1234 --token secret --db state.db")
	@$(PY) -m payex_billing_mock $(ARGS)

# Pure tests: no process, no browser, no socket but those of a few clients.
FAST := test_policy test_pace test_operations test_problems test_links test_headers test_values test_config test_dicts \
	test_reconcile_match test_reconcile_progress test_reconcile_pool test_undo_steps test_guards test_public_surface

check: $(DEV_STAMP) ## In a minute, while you work: lint, types, the fast tests
	@$(MAKE) --no-print-directory lint types
	@$(BIN)/pytest --numprocesses 2 --quiet $(addprefix tests/,$(addsuffix .py,$(FAST)))

# The tests that make test leaves out. make contract also runs the contract suite.
MORE := $(addprefix tests/test_,$(addsuffix .py,change_cost clean_up console_page contract_command contract_diff \
	contract_diff_pairs corrected_contract docs examples explain generate guard_score guarded_writes packaging release site)) \
	tests/schedules tests/chaos/test_shared_campaigns.py tests/chaos/test_undo_campaigns.py tests/chaos/test_transport_bombs.py
MOST := tests $(addprefix --ignore=,$(MORE))
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --quiet --durations=10 --hypothesis-seed=$(SEED)

test: $(DEV_STAMP) ## Lint, types, generated drift, the tests of client, mock, tables and command line (ARGS="-k plan": only these tests)
ifdef ARGS
	@$(BIN)/pytest --quiet $(ARGS)
else
	@$(MAKE) --no-print-directory --jobs 2 $(COMPILED_STAMP) lint types check-generated
	@$(PYTEST) $(MOST)
endif

# In a new clone each process would compile every test module and the package for itself.
$(COMPILED_STAMP): $(DEV_STAMP)
	@$(BIN)/pytest --collect-only --quiet $(MOST) >/dev/null
	@touch $@

test-more: $(DEV_STAMP) ## What make test leaves out: the contract suite on the mock and its own tests, tools, three long campaigns, the schedules of two writers, documentation, pages in a browser, the built wheel
	@$(MAKE) --no-print-directory wheel-test
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo "No chromium here: the tests in a browser are left out."
	@$(PYTEST) $(MORE) contract_tests

coverage: $(DEV_STAMP) ## Branch coverage, also of the processes that tests start: fail under 95 % of the wrapper, 90 % of the mock
	@rm -rf build/coverage
# A failed test does not stop the report: a few tests limit the time or the file sizes of a process, which coverage exceeds.
	-@$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist worksteal --quiet --hypothesis-seed=$(SEED) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include "mock_server/*" --fail-under 90
	@$(BIN)/coverage report --include "wrapper/*" --fail-under 95

nightly: $(DEV_STAMP) ## The long runs: schedules of faults, campaigns of kills on one journal and on a shared one, undone nights, every schedule of two writers
	@NIGHTLY=1 $(BIN)/pytest --numprocesses 6 --dist worksteal --quiet tests/test_never_twice.py tests/test_apply_killed.py tests/test_cost.py tests/test_examples.py tests/test_export.py tests/chaos tests/schedules

generate: $(DEV_STAMP) ## Make generated_client and docs/provenance.md from openapi.yaml, the blocking client from the asynchronous one
	@$(PY) tools/generate.py

docs-provenance: generate ## Same as generate: docs/provenance.md is made with the client

check-generated: $(DEV_STAMP) ## Fail when a generated file differs from its source
	@$(PY) tools/generate.py --check

contract: $(DEV_STAMP) ## Hold the mock against the contract; TARGET=https://... a real endpoint (ARGS="--report DIR --dry-run")
	@$(PY) -m contract_tests $(if $(TARGET),--target "$(TARGET)") $(ARGS)

contract-diff: $(DEV_STAMP) ## Compare openapi.yaml with another OpenAPI or Swagger file: OTHER=swagger.json
	@$(PY) -m tools.contract_diff "$(OTHER)" $(ARGS)

contract-score: $(DEV_STAMP) ## Count the faults and the changed responses that the contract suite notices; writes docs/contract-score.md (ARGS="--only mutants")
	@$(PY) -m contract_tests.score $(ARGS)

guard-score: $(DEV_STAMP) ## Human errors and honest nights, and which the guards of apply stop; writes docs/guard-score.md
	@$(PY) -m tests.guard_score $(ARGS)

change-cost: $(DEV_STAMP) ## Correct openapi.yaml in 41 ways, and see what must be edited by hand; writes docs/change-cost.md (ARGS="--only 3 --skip types")
	@$(PY) -m tools.change_cost $(ARGS)

learn-score: $(DEV_STAMP) ## Ask 300 variants of the API, and correct the contract for 20; writes docs/first-contact.md (ARGS="--copies 0")
	@$(PY) -m tools.learn_score $(ARGS)

lint: $(DEV_STAMP) ## ruff and import-linter
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || (echo "Run: $(BIN)/ruff format ." >&2; exit 1)
	@$(BIN)/lint-imports --no-logo >.venv/lint-imports.log || (cat .venv/lint-imports.log; exit 1)
	@echo "lint: clean"

types: types-mypy types-pyright ## mypy strict on wrapper, mock, contract tests and benchmarks, pyright on the wrapper; the typing tests with both
	@echo "types: clean"

types-mypy: $(DEV_STAMP)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary tests/typing/api.py
	@$(BIN)/mypy --no-error-summary benchmarks

types-pyright: $(DEV_STAMP)
	@$(BIN)/pyright --pythonpath $(PY) --level error >.venv/pyright.log || (cat .venv/pyright.log; exit 1)

wheel-test: $(DEV_STAMP) ## Build the wheel, install it into an empty environment elsewhere, run the demo with it
	@$(PY) tools/wheel_test.py

$(BENCH_STAMP): $(DEV_STAMP) requirements/bench.txt
	@$(PIP) --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(BENCH_STAMP) ## Measure beside other SDKs, and write docs/benchmarks.md (ARGS="--only Apply")
	@$(PY) -m benchmarks $(ARGS)

pictures: $(DEV_STAMP) ## Make the pictures of README from the real output
	@$(PY) tools/pictures.py

docs: $(DEV_STAMP) ## The documentation as a static site, in build/site
	@$(PY) tools/docs.py

$(DIST_STAMP): $(VENV)/pyvenv.cfg requirements/dist.txt
	@echo "Setting up $(DIST_VENV) ..."
	@$(PYTHON) -m venv --clear $(DIST_VENV)
	@$(DIST_VENV)/bin/python $(INSTALL) --require-hashes -r requirements/dist.txt
	@touch $@

dist: $(DIST_STAMP) ## Wheel and sdist in dist/, reproducible and checked, with an SBOM
	@$(DIST_VENV)/bin/python tools/dist.py

matrix: $(DEV_STAMP) ## The tests on the built wheel: Python 3.11 to 3.14, and the lowest dependencies (ARGS="3.12 lowest")
	@$(PY) tools/matrix.py $(ARGS)

lock: $(DEV_STAMP) ## Resolve requirements/*.txt anew (ONLY=package: only this package)
	@$(PY) tools/lock.py $(ONLY)

api-diff: $(DEV_STAMP) ## Show what has changed in the public API since the last release (AGAINST=v0.1.0)
	@$(PY) tools/api_diff.py $(AGAINST)

release-check: $(DEV_STAMP) ## Is this commit ready to be released: version, changelog, public API (TAG=v0.1.0)
	@$(PY) tools/release_check.py $(TAG)

portable: ## The tests that need nothing of one system only, on the wheel; for CI on macOS and Windows
	@$(PYTHON) tools/portable.py

clean: ## Remove the environment and what tools leave behind
	@rm -rf $(VENV) $(DIST_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis
