# The two main commands are `make demo` and `make test`. `make help` lists all targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
# uv does not read pip's configuration, so pass on the package index that pip is configured with, if any.
PIP_INDEX := $(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null)
ifneq ($(PIP_INDEX),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX)
endif

# Many CI images set this variable. Without bytecode each process compiles what it imports; Dagster and dbt take five seconds.
unexport PYTHONDONTWRITEBYTECODE

# uv lists every package that it installs. Show the list on a terminal, but not in a log.
QUIET := $(shell [ -t 2 ] || echo --quiet)

.PHONY: help setup demo test servers test-built test-apiserver test-cluster test-gitops cluster-up cluster-status cluster-down test-engines test-images images fuzz truth schemas findings lint types format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## install the locked Python environment, the tools, Cube and the charts
	@$(BIN)/floe tools --get kustomize helm node npm
	@$(BIN)/python -m floe.demo.cube
	@$(BIN)/floe charts pull --stand-ins

demo: setup ## render, validate and preflight, then run live data through to Cube (ARGS=--once stops after that)
	@exec $(BIN)/floe demo $(ARGS)

test: setup ## run the unit, property and integration tests (ARGS="tests/unit -k name" is passed to pytest)
	@$(BIN)/python -m pytest -m "not built" $(ARGS)

test-built: setup ## run the integration tests that need Helm 3 and an OCI registry, both compiled with Go (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get helm3 registry
	@$(BIN)/python -m pytest -m built tests/integration $(ARGS)

servers: setup ## compile with Go all servers for the suites below: takes minutes the first time (does nothing without Go)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubelet coredns oauth2-proxy source-controller argocd helm3

# Build the servers here rather than in the first test that needs them, so that their progress is visible.
test-apiserver: setup ## test the overlays, charts and floe-validate against a real Kubernetes API server (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver
	@$(BIN)/python -m pytest -o testpaths=tests/apiserver $(ARGS)

test-cluster: setup ## test the overlays and charts as running pods on a Kubernetes node, as root (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver kubelet coredns
	@$(BIN)/python -m pytest -o testpaths=tests/cluster $(ARGS)

test-gitops: setup ## test Flux and Argo CD following a fork on a node with real pods, as root (ARGS as for test)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver kubelet coredns source-controller argocd
	@$(BIN)/python -m pytest tests/gitops $(ARGS)

cluster-up: setup ## start a Kubernetes node with real pods, as root (ARGS=dev runs that overlay on it)
	@PYTHONPATH=tests $(BIN)/python -m cluster up $(ARGS)

cluster-status: $(STAMP) ## show what runs on that node
	@PYTHONPATH=tests $(BIN)/python -m cluster status

cluster-down: $(STAMP) ## stop that node and remove it
	@PYTHONPATH=tests $(BIN)/python -m cluster down

test-engines: setup ## test the pipeline on Trino, and all answers of Cube on both engines (ARGS as for test)
	@$(BIN)/python -m pytest tests/engines $(ARGS)

# Needs these Debian packages: --no-install-recommends buildah podman runc skopeo mmdebstrap netavark uidmap
test-images: setup ## test the production images, built with buildah on look-alikes of their base images (ARGS as for test)
	@$(BIN)/python -m pytest tests/images $(ARGS)

fuzz: setup ## run the property tests with 30 times as many random inputs, different in each run (ARGS as for test)
	@FLOE_FUZZ=30 $(BIN)/python -m pytest tests/property $(ARGS)

truth: setup ## compare floe-validate with a real API server on 20,000 random objects (needs Go)
	@! command -v go >/dev/null || PYTHONPATH=tests $(BIN)/python -m toolbox --get kubectl etcd kube-apiserver
	@FLOE_TRUTH=20000 $(BIN)/python -m pytest tests/apiserver/test_schema_truth.py $(ARGS)

schemas: $(STAMP) ## derive the schemas of floe-validate again from what upstream publishes (needs Go)
	@$(BIN)/python -m floe.kubernetes.schemas.derive

findings: $(STAMP) ## write docs/08-findings.md from the policies of floe-validate
	@$(BIN)/python -m floe.validate.findings_page

images: $(STAMP) ## build the production images (ARGS="dagster --engine podman --tag 0.2.0")
	@$(BIN)/floe images $(ARGS)

lint: $(STAMP) ## run ruff and yamllint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/yamllint --strict .

types: $(STAMP) ## run mypy in strict mode
	@$(BIN)/mypy

format: $(STAMP) ## format the Python code with ruff
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## run the benchmarks: speed as a ratio to a peer in the same run
	@$(BIN)/python tests/bench $(ARGS)

lock: $(BIN)/uv ## update the lock files; the image's comes first, since the checkout uses the same versions
	@$(BIN)/uv pip compile --python-version 3.11 --python-platform linux --extra runtime --extra cluster --extra trino --extra snowflake --extra bigquery --generate-hashes --no-header --upgrade --quiet pyproject.toml --output-file images/dagster/requirements.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-deps --generate-hashes --no-header --upgrade --quiet images/cube/requirements.in --output-file images/cube/requirements.lock
	@$(BIN)/uv pip compile --universal --python-version 3.11 --extra checkout --extra runtime --extra trino --extra dev --constraint images/dagster/requirements.lock --generate-hashes --no-header --upgrade --quiet pyproject.toml --output-file requirements.lock
	@for folder in validators/floe/tools tests/toolbox; do $(BIN)/uv pip compile --universal --python-version 3.11 --no-deps --generate-hashes --no-header --upgrade --quiet $$folder/packages.in --output-file $$folder/packages.lock; done

clean: ## delete the embedded default's state and the pulled charts
	@rm -rf .floe overlays/*/charts charts/*/charts

# The pip that comes with Python installs uv itself, at the locked version.
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
