# Tripswitch. `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
NAME ?= default
NODE ?= kwok
E2E ?= kwok
# Tests on simulated nodes wait more than they compute; real containers need the cores.
WORKERS ?= $(if $(filter kwok,$(E2E)),8,5)
SEED ?= 1
STEPS ?= 1000000
MODULES ?=
CLUSTER ?=
IMAGE ?=
YES ?=
MINUTES ?= 60
ARGS ?=

##@ Try it

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## a good rollout, a bad one and its rollback, a first one that stalls, a plain Deployment: live (CLUSTER=current: in yours)
ifeq ($(CLUSTER),current)
	@$(BIN)/python -m tools.demo --current $(if $(IMAGE),--image $(IMAGE)) $(if $(YES),--yes)
else
	@$(BIN)/python -m tools.cluster build --for demo >/dev/null
	@$(BIN)/python -m tools.demo
endif

.PHONY: up
up: setup ## start a throwaway cluster with the operator, to try things by hand (NAME=, NODE=)
	@$(BIN)/python -m tools.cluster build --for $(NODE) >/dev/null
	$(BIN)/python -m tools.cluster up --name $(NAME) --node $(NODE)
	$(BIN)/python -m tools.operator_process up --name $(NAME)

.PHONY: down
down: setup ## stop what `make up` started (NAME=)
	$(BIN)/python -m tools.operator_process down --name $(NAME)
	$(BIN)/python -m tools.cluster down --name $(NAME)

##@ Test it

.PHONY: programs
programs: setup ## build the programs that tests use, once: minutes; then they are in a cache
	@$(BIN)/python -m tools.cluster build --for tests >/dev/null

.PHONY: test
test: programs unit e2e real ## everything that proves it: unit, property, contract and end-to-end tests

# Each worker of pytest-xdist writes its own data.
COVERAGE = --rcfile=tools/coverage.toml

.PHONY: unit
unit: setup ## unit and property tests, with the coverage of the core
	$(BIN)/coverage run $(COVERAGE) -m pytest -q -n 2 -m "not cluster" tests/unit/domain
	$(BIN)/coverage combine $(COVERAGE) --quiet
	$(BIN)/coverage report $(COVERAGE) --include="operator/tripswitch/domain/*" --fail-under=100 --skip-covered
	$(BIN)/python -m pytest -q -n 2 -m "not cluster and not real and not browser" tests operator tools benchmarks --ignore tests/unit/domain

.PHONY: pythons
pythons: setup ## unit tests under the other Pythons that are claimed; says which are not on this machine
	$(BIN)/nox --session unit

.PHONY: packages
packages: ## install the Debian packages that some tests use (as root; else say what is left out)
	@tools/packages.sh

# Without those packages their tests are left out; tools/packages.sh has said so.
DEBIAN = $(if $(shell command -v tmux && command -v prometheus),, and not debian)

.PHONY: e2e
e2e: packages programs ## end-to-end tests on a cluster (E2E=kwok|real|kind|current)
	$(if $(filter real,$(E2E)),@$(BIN)/python -m tools.image.prebuilt)
	E2E=$(E2E) WHOLE_SUITE=$(filter kwok,$(E2E)) $(BIN)/python -m pytest -q -m "$(if $(filter kwok,$(E2E)),cluster,real)$(DEBIAN)" -n $(WORKERS) --dist loadgroup tests/e2e \
	  $(if $(filter kwok,$(E2E)),tests/contract tests/faults)

ON_A_REAL_NODE = if why=$$($(BIN)/python -m tools.cluster obstacle); \
	then echo "no tests with real containers: $$why"; else

.PHONY: real
real: packages programs ## end-to-end tests with real containers; where that cannot be, it says why
	@$(ON_A_REAL_NODE) $(MAKE) --no-print-directory e2e E2E=real; fi

.PHONY: soak
soak: setup ## a million steps of generated worlds, looking for one that breaks a rule (SEED=, STEPS=)
	nice $(BIN)/python -m tests.sim.soak --seed $(SEED) --steps $(STEPS) --write

.PHONY: mutate
mutate: setup ## which changes of the core would no unit test notice? (long; MODULES=rules/threshold ...)
	nice $(BIN)/python -m tools.mutation $(MODULES)

.PHONY: oracle
oracle: ## check our test data against Kubernetes' own Go code (needs Go)
	tests/oracle/generate.sh --check

.PHONY: cluster-test
cluster-test: programs ## tests of the throwaway cluster itself, and of each simulated failure
	$(BIN)/python -m pytest -q -m "not real" tests/cluster

.PHONY: real-test
real-test: programs ## tests of the real node itself (root, Linux, Debian's containerd)
	@$(ON_A_REAL_NODE) $(BIN)/python -m pytest -q -m real tests/cluster; fi

.PHONY: faults
faults: setup ## every fault on purpose (about 50 minutes, 2 cores); writes docs/explanation/reliability.md (SEED=)
	$(BIN)/python -m tests.faults $(if $(filter command line,$(origin SEED)),--seed $(SEED))

.PHONY: recordings
recordings: setup ## record again what a real kubelet shows (root); the unit tests replay it
	$(BIN)/python -m tools.recordings

.PHONY: bench-real
bench-real: setup ## measure trips on a real kubelet, write docs/real-node.md (root)
	$(BIN)/python -m benchmarks.real_times
	$(BIN)/python -m benchmarks.real_guarded

##@ Hand it on

.PHONY: plugin
plugin: setup ## the kubectl plugin as one file: dist/kubectl-tripswitch
	$(BIN)/python -m tools.plugin_file

.PHONY: docs
docs: setup ## the docs site in site/; broken links fail it
	$(BIN)/python -m tools.docs_site

.PHONY: docs-test
docs-test: packages docs ## look at every page of the docs site in a headless browser; where there is none, it says so
	$(BIN)/python -m pytest -q -m browser tests/site

.PHONY: picture
picture: setup ## take the pictures of the plugin in the docs again (tmux, a throwaway cluster)
	$(BIN)/python -m tools.picture

.PHONY: release
release: setup programs .venv/supply/installed ## all that a release has, in dist/, with the one version of pyproject.toml (root, mmdebstrap)
	$(BIN)/python -m tools.release

##@ Keep it in order

.PHONY: check
check: lint quick ## what to run while working: lint, types, layers, unit tests (less than two minutes)

# Without generated worlds, contracts and the coverage of the core, which `make unit` has.
.PHONY: quick
quick: setup ## the unit tests alone
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/properties operator

.PHONY: hooks
hooks: setup ## let git check every commit: format, lint, types, layers, the subject
	$(BIN)/pre-commit install

.PHONY: lint
lint: setup ## lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: fmt
fmt: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: setup ## write the generated files again: CRD, manifests, reference pages, diagrams, index of the rules
	$(BIN)/python -m tools.generate

.PHONY: verify
verify: setup ## check that the generated files are current, and show how they differ
	$(BIN)/python -m tools.generate --check

.PHONY: image
image: setup sbom ## build the container image without Docker, as dist/tripswitch.tar, and its SBOM (root, mmdebstrap)
	mkdir -p dist
	$(BIN)/python -m tools.image.build image dist/tripswitch.tar

.PHONY: lock
lock: setup ## resolve the dependencies again
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --extra operator --group test --group lint --group dev --group docs --group dist \
	  -o requirements.lock --upgrade
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --group supply -o requirements.supply.lock --upgrade

.PHONY: sbom
sbom: .venv/supply/installed ## list what a release is made of, in CycloneDX form: dist/tripswitch.cdx.json
	@mkdir -p dist
	$(BIN)/python -m tools.image.dependencies > dist/requirements.txt
	.venv/supply/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/tripswitch.cdx.json dist/requirements.txt

.PHONY: audit
audit: .venv/supply/installed ## ask the vulnerability service about the locked packages (needs the network)
	.venv/supply/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

.venv/supply/installed: requirements.supply.lock .venv/installed
	$(PYTHON) -m venv .venv/supply
	.venv/supply/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.supply.lock
	@touch $@

.PHONY: setup
setup: .venv/installed ## make .venv with the locked dependencies

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tripswitch needs Python 3.11 or newer; say which with make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: clean
clean: ## remove what was made here (not the cache of built programs)
	rm -rf .venv .clusters .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

##@ Measure it

.PHONY: bench
bench: setup ## every benchmark, with Argo Rollouts and Deployments beside (ARGS=--quick: small numbers)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: profile
profile: setup ## where the operator's CPU time and requests go in many rollouts at once, without a cluster (ARGS=--help)
	$(BIN)/python -m benchmarks.work $(ARGS)

.PHONY: profile-storm
profile-storm: setup ## where CPU time of operator and API server goes in many rollouts at once, on a cluster (ARGS=--help)
	$(BIN)/python -m benchmarks.storm_profile $(ARGS)

.PHONY: profile-requests
profile-requests: setup ## what each kind of request of ours costs the API server (ARGS=--help)
	$(BIN)/python -m benchmarks.request_cost $(ARGS)

bench-%: setup ## one benchmark: decide, trips, rollback, cost, storm, failover, fleets, guarding, halves, verdicts
	$(BIN)/python -m benchmarks $* $(ARGS)

.PHONY: soak-cluster
soak-cluster: setup ## an hour of random rollouts, scaling, deletions and restarts, then a recount (MINUTES=, SEED=)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) --seed $(SEED) $(ARGS)
