# The two commands that matter are `make run` and `make test`. Everything is installed below this folder.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
PY := .venv/bin/python
UV := .venv/bin/uv
export PYTHONDONTWRITEBYTECODE ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export OMP_NUM_THREADS ?= 1
# uv does not read pip's setting: with a folder of wheels it takes torch's CPU build from there, else from torch's own CPU index.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
else
export UV_TORCH_BACKEND ?= cpu
endif

.PHONY: help run run-full test coverage check bench faults lock install install-dev front mutants isolation

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: install front ## Install what is missing and serve http://127.0.0.1:8000 (PORT=, MARKET=, REPLAY=, SPEED=, REPLAY_LIVE=, ALLOW_REMOTE=1)
	@exec $(PY) manage.py run

run-full: install front ## The same as separate processes: web, worker, score worker, beat, feed
	@exec $(PY) manage.py run_full

test: install-dev front ## Set up everything the suite needs and run it
	@$(PY) tools/find_chromium.py
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

coverage: install-dev front ## The suite without browser and fault tests; fails where a package is under 90 %, or scoping or billing state under 100 %
	@$(PY) -m pytest -n 2 --dist loadgroup -m "not browser and not faults" --cov=accounts --cov=billing --cov=markets --cov=models_ml --cov=signals --cov-report= $(ARGS)
	@failed=0; $(PY) -m coverage report --include="accounts/scoping.py,billing/state.py" --fail-under=100 || failed=1; \
	  for package in accounts billing markets models_ml signals; do $(PY) -m coverage report --include="$$package/*" --fail-under=90 || failed=1; done; exit $$failed

check: install-dev ## Formatting, types, import contracts, docs
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy . && .venv/bin/lint-imports
	@$(PY) -m pytest -q -n 0 tests/architecture

bench: install-dev front ## Measure every figure of docs/performance.md (QUICK=1 for a minute)
	@$(PY) -m bench

faults: install-dev front ## All faults with the counts of docs/reliability.md
	@CANDOR_FAULTS=full CANDOR_FAULT_COUNT=1000 $(PY) -m pytest -n 0 --timeout=3600 tests/faults tests/models_ml/test_artifacts.py tests/models_ml/test_panel.py \
	  tests/contracts/test_voters.py tests/models_ml/test_champions.py tests/signals/test_consumers.py tests/signals/test_sockets.py \
	  tests/markets/test_calendars.py tests/markets/test_schedule.py tests/billing/test_orders.py

isolation: install-dev front ## Take one scope, policy or permission away at a time; docs/isolation.md says what noticed
	@$(PY) -m tools.isolation_mutants

mutants: install-dev ## Mutation test of consensus, outcomes, publishing and scoping
	@$(PY) tools/mutants.py

install: .venv/.run ## Make .venv from the lock
install-dev: .venv/.dev

.venv/bin/uv:
	@$(PYTHON) --version >/dev/null 2>&1 && $(PYTHON) -m venv .venv || python3 -m venv .venv
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { rm -rf .venv; echo "Candor needs Python 3.11: set PYTHON=/path/to/python3.11"; exit 1; }
	@.venv/bin/pip install --quiet --disable-pip-version-check uv

.venv/.run: requirements/base.txt requirements/ml.txt | .venv/bin/uv
	@$(UV) pip sync --quiet --python .venv requirements/base.txt requirements/ml.txt $$(test -f .venv/.dev && echo requirements/dev.txt)
	@$(PY) tools/no_cuda.py && touch $@

.venv/.dev: requirements/base.txt requirements/ml.txt requirements/dev.txt | .venv/bin/uv
	@$(UV) pip sync --quiet --python .venv requirements/base.txt requirements/ml.txt requirements/dev.txt
	@$(PY) tools/no_cuda.py && touch $@ .venv/.run

lock: .venv/bin/uv ## Resolve requirements/*.in again
	@sed -i 's/^torch==2.13.0$$/torch==2.13.0+cpu/' requirements/*.txt  # uv keeps what is pinned: name the build to keep
	@for f in base ml prod dev; do $(UV) pip compile -q --generate-hashes --python-version 3.11 --no-emit-find-links --no-emit-index-url requirements/$$f.in -o requirements/$$f.txt && sed -i 's/torch==2.13.0+cpu/torch==2.13.0/' requirements/$$f.txt; done
	@$(PY) -m tools.lock_torch

front: static/dist/.built ## Build the front end

node_modules/.installed: package-lock.json package.json
	@npm ci --silent --no-audit --no-fund && touch $@

static/dist/.built: node_modules/.installed $(shell find static/css static/js templates -type f 2>/dev/null)
	@npm run --silent build && touch $@
