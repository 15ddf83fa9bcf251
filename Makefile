# The two commands are `make demo` and `make test`; everything else serves them. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
# uv does not read pip's configuration: hand on the index that this machine is set up with, if any.
PIP_INDEX := $(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null)
ifneq ($(PIP_INDEX),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX)
endif

# Many CI images set this. Each process would then compile anew what it imports, which takes Dagster and dbt five seconds.
unexport PYTHONDONTWRITEBYTECODE

# uv lists every package it installs: worth a person's terminal, not a log.
QUIET := $(shell [ -t 2 ] || echo --quiet)

.PHONY: help setup demo test servers test-built test-cluster test-gitops cluster-up cluster-status cluster-down test-engines test-images images fuzz truth schemas findings lint types format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## the locked Python environment, the tools, Cube, the charts
	@$(BIN)/floe tools --get kustomize helm node npm
	@$(BIN)/python -m floe.demo.cube
	@$(BIN)/floe charts pull --stand-ins

demo: setup ## render, validate, preflight, then live data up to Cube (ARGS=--once stops after that)
	@exec $(BIN)/floe demo $(ARGS)

test: setup ## unit, property and integration tests (ARGS="tests/unit -k name" is handed to pytest)
	@$(BIN)/python -m pytest -m "not built" $(ARGS)

test-built: setup ## the integration tests of Helm 3 and an OCI registry, which Go compiles (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get helm3 registry
	@$(BIN)/python -m pytest -m built tests/integration $(ARGS)

servers: setup ## what Go compiles for the suites below, at once: minutes the first time (nothing without Go)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubelet coredns oauth2-proxy source-controller argocd helm3

# Built here and not by the first test that needs them, so that one sees how far the build is.
test-cluster: setup ## the overlays against a real Kubernetes API server and, as root, as running pods (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver kubelet coredns
	@$(BIN)/python -m pytest -o testpaths=tests/cluster $(ARGS)

test-gitops: setup ## Flux and Argo CD themselves, on a node as above, following a fork, as root (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver kubelet coredns source-controller argocd
	@$(BIN)/python -m pytest tests/gitops $(ARGS)

cluster-up: setup ## a Kubernetes node with real pods, as root (ARGS=dev runs that overlay on it)
	@PYTHONPATH=tests $(BIN)/python -m cluster up $(ARGS)

cluster-status: $(STAMP) ## what runs on it
	@PYTHONPATH=tests $(BIN)/python -m cluster status

cluster-down: $(STAMP) ## end it
	@PYTHONPATH=tests $(BIN)/python -m cluster down

test-engines: setup ## the pipeline on Trino (ARGS as for test)
	@$(BIN)/python -m pytest tests/engines $(ARGS)

# --no-install-recommends buildah podman runc skopeo mmdebstrap netavark uidmap (Debian's names) is what this needs.
test-images: setup ## the production images, built with buildah on look-alike bases (ARGS as for test)
	@$(BIN)/python -m pytest tests/images $(ARGS)

fuzz: setup ## the property tests with 30 times as many random inputs, others in each run (ARGS as for test)
	@FLOE_FUZZ=30 $(BIN)/python -m pytest tests/property $(ARGS)

truth: setup ## the verdict of floe-validate against a real API server's on 20,000 random objects (needs Go)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver
	@FLOE_TRUTH=20000 $(BIN)/python -m pytest tests/cluster/test_schema_truth.py $(ARGS)

schemas: $(STAMP) ## derive the schemas of floe-validate anew from what upstream publishes (needs Go)
	@$(BIN)/python -m floe.kubernetes.schemas.derive

findings: $(STAMP) ## write docs/08-findings.md anew from the policies of floe-validate
	@$(BIN)/python -m floe.validate.findings_page

images: $(STAMP) ## the production images (ARGS="dagster --engine podman --tag 0.2.0")
	@$(BIN)/floe images $(ARGS)

lint: $(STAMP) ## ruff and yamllint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/yamllint --strict .

types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

format: $(STAMP) ## rewrite the Python code in the house's format
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## speed, as ratios against a peer in the same run
	@$(BIN)/python tests/bench $(ARGS)

lock: $(BIN)/uv ## write the locks anew; the image's comes first, and a checkout has the same versions
	@$(BIN)/uv pip compile --python-version 3.11 --python-platform linux --extra runtime --extra cluster --extra trino --extra snowflake --extra bigquery --generate-hashes --no-header --upgrade --quiet pyproject.toml --output-file images/dagster/requirements.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-deps --generate-hashes --no-header --upgrade --quiet images/cube/requirements.in --output-file images/cube/requirements.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --extra checkout --extra runtime --extra trino --extra dev --constraint images/dagster/requirements.lock --generate-hashes --no-header --upgrade --quiet pyproject.toml --output-file requirements.lock
	@for folder in validators/floe/tools tests/toolbox; do $(BIN)/uv pip compile --universal --python-version 3.11 --no-deps --generate-hashes --no-header --upgrade --quiet $$folder/packages.in --output-file $$folder/packages.lock; done

clean: ## forget the embedded default's state and the pulled charts
	@rm -rf .floe overlays/*/charts charts/*/charts

# uv itself comes from the lock, by the pip that Python brings.
$(BIN)/uv: requirements.lock
	@echo "setup: Python environment in .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -m venv .venv \
	  || { echo "error: $(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r <(awk '/^uv==/{p=1; print; next} /^[a-z]/{p=0} p' requirements.lock)
	@touch $@

$(STAMP): requirements.lock pyproject.toml $(BIN)/uv
	@echo "setup: packages of requirements.lock"
	@VIRTUAL_ENV="$$PWD/.venv" $(BIN)/uv pip sync $(QUIET) --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV="$$PWD/.venv" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
