# Bare `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash

FILE  ?=
ARGS  ?=
CARGO ?= cargo

.PHONY: help deps dev test check lint fmt generate bench fuzz images kind-up kind-down e2e e2e-down

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what building and testing need (Debian; idempotent)
	@e2e/engines/install.sh

dev: ## Run the whole system here: make dev [FILE=cluster.yaml] [ARGS="--ephemeral --port 8080"]
	@e2e/engines/install.sh build
	$(CARGO) build --bin gochat
	@exec "$${CARGO_TARGET_DIR:-target}/debug/gochat" dev $(if $(FILE),--file "$(FILE)") $(ARGS)

test: ## Everything: unit to browser, on real engines; lists and counts what was skipped
	@scripts/test.sh

check: lint ## The inner loop: formatting, clippy, generated code, unit and property tests
	$(CARGO) test -q --workspace --lib --bins

lint: ## Formatting, clippy, generated code, protocol compatibility, dependencies
	@scripts/lint.sh

fmt: ## Format the code
	$(CARGO) fmt --all

generate: ## Write generated code from its sources
	$(CARGO) run -q -p gochat-proto-codegen
	$(CARGO) run -q -p gochat-crds --bin generate
	charts/copy.sh
	UPDATE=1 charts/test.sh

bench: ## Measure on real engines and write the results: make bench [ARGS=...]
	@scripts/bench.sh $(ARGS)

fuzz: ## Fuzz the decoders for 60 s each: make fuzz [ARGS=600]
	@scripts/fuzz.sh $(ARGS)

images: ## OCI archives of gochat and gochat-operator in dist/images, without Docker: make images [ARGS="gochat"]
	@images/build.sh $(ARGS)

kind-up: ## A kind cluster with GoChat on it, also where no registry answers (kind/README.md)
	@kind/up.sh

kind-down: ## Remove it
	@kind/down.sh

e2e: ## The tests on a real cluster: kind, or the one that E2E_KUBECONFIG names
	@scripts/e2e.sh $(ARGS)

e2e-down: kind-down ## Remove the tests' cluster
