# Every command of the project. `make` alone lists them.
# Needs python3 (3.11 or later) with venv, and make. Nothing is installed outside .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --require-hashes --only-binary=:all:
SELF := $(PIP) install --quiet --no-deps --no-build-isolation --editable .

# T selects what `make test` runs: a folder, a file or file::test.
T ?= tests src

# What `make mutants` tests: a room; with MUTANT, only those of an earlier run, as in MUTANT='tocsin.rules.intake.*'.
ROOM ?= rules
MUTANT ?=

export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: help dev test test-long test-kills test-planted test-ha mutants fuzz fuzz-http check fix vectors demo sandbox run bench equal lock ci clean
.DELETE_ON_ERROR:

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment ---------------------------------------------------------------------------------------------------

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tocsin needs Python 3.11 or later: make PYTHON=python3.x ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
		{ echo "python3 has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# What running needs. The development environment contains it, in the same versions, and touches this stamp too.
.venv/.run-ready: requirements.lock pyproject.toml | .venv/bin/python
	$(LOCKED) -r requirements.lock
	$(SELF)
	@touch $@

.venv/.dev-ready: requirements-dev.lock requirements.lock pyproject.toml | .venv/bin/python
	$(LOCKED) -r requirements-dev.lock
	$(SELF)
	@touch .venv/.run-ready $@

dev: .venv/.dev-ready ## make the environment in .venv from the lock file

# --- work ----------------------------------------------------------------------------------------------------------

test: .venv/.dev-ready ## run the tests; T=tests/ledger selects
	$(BIN)/python -m pytest -n auto -m "not slow" $(T)

test-long: .venv/.dev-ready ## run all tests, slow ones too, with many more examples
	TOCSIN_HYPOTHESIS=long $(BIN)/python -m pytest -n auto $(T)

# KILLS: how often; SEED: the number that an earlier run told, to draw the same victims and moments again.
KILLS ?= 200
test-kills: .venv/.dev-ready ## kill -9 a server, publishers and commands 200 times, in some minutes
	folder=$$(mktemp -d) && $(BIN)/python -m tests.faults.kills $$folder/run $(KILLS) $(SEED) && rm -r $$folder

# REQUESTS: how many; SEED: as above.
REQUESTS ?= 10000
test-planted: .venv/.dev-ready ## send 10,000 hostile requests with planted values, and look for each of them everywhere
	folder=$$(mktemp -d) && $(BIN)/python -m tests.faults.planted $$folder/run $(REQUESTS) $(SEED) && rm -r $$folder

test-ha: .venv/.dev-ready ## lose the primary of three PostgreSQL servers under load, by hand and under Patroni (needs etcd)
	$(BIN)/python -m pytest -s -rs tests/faults/test_primary_killed.py tests/faults/test_patroni.py

mutants: .venv/.dev-ready ## change the code of one room, ROOM=rules, in many small ways, and see that a test fails
	TOCSIN_HYPOTHESIS=mutants $(BIN)/python -m tests.mutate $(ROOM) $(MUTANT)

# TARGET: one of those in docs/fuzzing.md, or all in turn; SECONDS for each; AGAIN: a file that was found, once more.
TARGET ?=
SECONDS ?= 60
AGAIN ?=
fuzz: .venv/.dev-ready ## throw bytes at every decoder, or TARGET=keyset, for SECONDS each (needs atheris)
	nice -n 19 $(BIN)/python -m tests.fuzz $(TARGET) --seconds $(SECONDS) $(if $(AGAIN),--again $(AGAIN))

# CASES: how many are sent at least.
CASES ?= 10000
fuzz-http: .venv/.dev-ready ## schemathesis against a server of its own: calls and files as /openapi.json says, and not
	nice -n 10 $(BIN)/python -m tests.fuzz.door --cases $(CASES)

check: .venv/.dev-ready ## format, lint, types and imports; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: .venv/.dev-ready ## format, and repair what the linter can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

vectors: .venv/.dev-ready ## write the test vectors again and show what changed
	$(BIN)/python tests/vectors/make.py
	@git --no-pager diff --stat --patch -- tests/vectors
	@git status --short -- tests/vectors

demo: .venv/.run-ready ## code, report, publication and match, in a minute
	$(BIN)/tocsin demo $(addprefix --export ,$(wildcard ../shared/data/gaen/cwa-android-keys-2020-05-31.zip))

sandbox: .venv/.run-ready ## a server for app developers on 127.0.0.1:8788, with every error on demand
	$(BIN)/tocsin sandbox

run: .venv/.run-ready ## a server of your own on 127.0.0.1:8787, in the folder my-deployment
	@test -e my-deployment || $(BIN)/tocsin init my-deployment --region utopia --origin tocsin.example/utopia \
		--base-url http://127.0.0.1:8787
	$(BIN)/tocsin serve --data my-deployment

bench: .venv/.dev-ready ## measure; the figures are for this machine only
	$(BIN)/python -m benchmarks

# CALLS: of each kind; ONLY: one condition (idle, busy, saturated, slow, "no grid", leak), the others' results are kept.
CALLS ?= 10000
ONLY ?=
equal: .venv/.dev-ready ## can real calls, refusals and decoys be told apart on the wire? 25 minutes of a quiet machine
	$(BIN)/python -m benchmarks.privacy --calls $(CALLS) $(if $(ONLY),"$(ONLY)")

lock: ## resolve the lock files again (needs uv)
	uv pip compile $(LOCK_FLAGS) --extra build --output-file requirements.lock pyproject.toml
	uv pip compile $(LOCK_FLAGS) --extra build --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	uv pip compile $(LOCK_FLAGS) --output-file deploy/patroni/requirements.lock deploy/patroni/requirements.in
	uv pip compile $(LOCK_FLAGS) --constraint deploy/patroni/requirements.lock \
		--output-file deploy/patroni/build.lock deploy/patroni/build.in

ci: check test ## what the build server runs, exactly

clean: ## remove the environment and the caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis mutants build dist

# Hashes, and neither the address of an index nor a path of the machine that resolved them.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
