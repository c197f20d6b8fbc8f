# Four verbs and what they need. Each sets itself up; `python3` (3.11 or newer), git and make are enough.
PYTHON ?= python3
BIN := .venv/bin
# tests start many processes; each would compile anew whatever it imports
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps

.PHONY: demo install install-dev test test-slow test-all check bench field-model lock clean stack stack-down stack-test audit

demo: install
	$(BIN)/gunshot demo --out demo

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation -e .
	touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	$(PIP) --require-hashes -r requirements-dev.lock
	NUMBA_CACHE_DIR=$(CURDIR)/.venv/numba $(BIN)/python tests/warm_numba.py
	touch $@

# what a change must pass: a few minutes
test: check
	$(BIN)/python -m pytest --doctest-modules gunshot
	$(BIN)/python -m pytest -n 2 --dist loadfile

# what is slow, or starts more servers; what only measures is `bench`
test-slow: install-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --run-slow -m "slow and not stack" --ignore tests/benchmarks --ignore tests/clusters
	$(BIN)/python -m pytest --run-slow -m slow tests/clusters  # jobs and hosts have clocks of their own: nothing beside them

test-all: test test-slow

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc lint $$(git ls-files 'gunshot/*.py')

bench: install-dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --run-slow

# the stack of docs/stack.md; ENGINE names a command that prints the shell's settings of an engine, where none is the default
ENGINE ?= :
COMPOSE ?= docker compose
stack:
	$(PYTHON) docker/make_secrets.py
	docker build -q -f docker/Dockerfile --target scoring -t gunshot:0.1.0 .
	$(COMPOSE) -f docker/compose.yaml up -d --wait --wait-timeout 600

# what was scored stays in the volumes; `$(COMPOSE) -f docker/compose.yaml down -v` removes it
stack-down:
	$(COMPOSE) -f docker/compose.yaml down

stack-test: install-dev
	eval "$$($(ENGINE))"; $(BIN)/python -m pytest -s --run-slow -m stack tests/stack

# known faults of what the locks name: asks a service, and says so where it cannot be reached
audit: install-dev
	$(PYTHON) .ci/audit.py

# the model that ships with the package (docs/models.md says where AUDIO and PACKAGES come from)
AUDIO := ../shared/audio
PACKAGES := field/packages
field-model: install
	$(BIN)/gunshot datasets onsets $(AUDIO)/labels.csv --out field/onsets --leave-out urbansound8k --leave-out livefire
	$(BIN)/gunshot datasets packages $(PACKAGES)
	$(BIN)/gunshot synthesize corpus --out field/synthetic --gunshots 1500 --others 1000 --groups 100 --seed 11
	$(BIN)/gunshot preprocess $(AUDIO) field/onsets $(PACKAGES) field/synthetic --store field/store.zarr \
		--recipe gunshot/models/shipped/field.toml
	$(BIN)/gunshot train --store field/store.zarr --model field-cnn --out gunshot/models/shipped/field \
		--assign 'livefire/FP6/*=validation' --assign 'livefire/FP7/*=test' --assign 'livefire/*=train' \
		--assign 'street-*/*=unseen' --assign 'gunshots/*=train' --assign '*/gunshots/*=train' \
		$(SHOTS_OF_PACKAGES:%=--assign '*/usr/*%*=unseen') --assign '*/usr/*=train' --assign '*/scene*=train'

# edited for games: trained on they cost shots of real recorders (docs/experiments.md), so they only judge
SHOTS_OF_PACKAGES := gun shot bullet rifle vulcanf m16 asltmg mgbar mgheavy mgtower uzi machgf thunderstick

# needs uv; writes the locks, with hashes and without addresses: uv leaves those out unless it is told otherwise. The image's has no
# TensorFlow, and is of the versions of the first
lock:
	uv pip compile pyproject.toml --extra train $(LOCK) --output-file requirements.lock
	uv pip compile pyproject.toml --extra train --extra dev --constraint requirements.lock $(LOCK) --output-file requirements-dev.lock
	uv pip compile pyproject.toml --extra server --constraint requirements.lock $(LOCK) --output-file requirements-image.lock
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

clean:
	rm -rf .venv demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
