# Every command of the project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/streaming-platform
# One virtual environment for each set of pins, outside the checkout: a second clone finds it ready.
PINS := $(shell { cat requirements.txt requirements-dev.txt; $(PYTHON) --version; } | sha256sum | cut -c1-12)
VENV := $(CACHE)/venv-$(PINS)
CLI = .venv/bin/python -m cli

NAME ?= local
CONTEXT ?=
STACK ?= dev
# Each file of a stack makes it known.
STACKS := $(patsubst stacks/Pulumi.%.yaml,%,$(sort $(wildcard stacks/Pulumi.*.yaml)))
ROLE ?=
HOURS ?= 8
LEVEL ?=
BENCH_ARGS ?=
DATA ?=

.PHONY: help jars up prove down status dashboard preview destroy refresh images checksums kubeconfig env test check bench-autoscaling bench-logging bench-preview bench-rescale bench-state bench-upgrades

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{gsub(/\$$\$$/, "$$", $$2); printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  CONTEXT=<kube context>  a cluster that exists, instead of a local node"
	@echo "  NAME=<name>             which local cluster (default: local)"
	@echo "  STACK=<stack>           one of: $(STACKS) (default: dev)"
	@echo "  ROLE=<role>             of an environment, for make kubeconfig; STACK=all: in all environments; HOURS=8"
	@echo "  BENCH_ARGS=<arguments>  for make bench-...; --help lists them"

up: machine .venv ## bring the platform up (tools, local Kubernetes, stacks `cluster` and `dev`) and prove that it works
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" up

prove: .venv ## send 10,000 records through the platform and check that each comes out exactly once
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" prove

status: .venv ## what runs, how it scales, how to reach it
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" status

dashboard: .venv ## open the figures: lag, records, CPU and more, on a page of this machine
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" dashboard

preview: .venv ## what `pulumi up` would change: STACK=...
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" preview "$(STACK)"

destroy: .venv ## delete what a stack made: STACK=...; protected data is refused
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" destroy "$(STACK)"

refresh: .venv ## compare a stack with the cluster: STACK=...
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" refresh "$(STACK)"

down: .venv ## stop the local cluster; DATA=delete deletes its volumes, keys and Pulumi state too
	@$(CLI) --name "$(NAME)" down --data "$(or $(DATA),keep)"

jars: .venv ## build the project's Java: the reference job, and what runs beside each Flink job
	@$(CLI) jars

images: .venv ## pull or build the platform's container images
	@$(CLI) images

checksums: .venv ## record the checksums of downloads in local/checksums.json, where their publishers can be reached
	@$(CLI) checksums

kubeconfig: .venv ## print the export line for kubectl: STACK=cluster for the administrator, else the stack's deployer, or ROLE=...
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" kubeconfig "$(STACK)" --role "$(ROLE)" --hours "$(HOURS)"

env: .venv ## print the export lines for using pulumi and kubectl by hand: eval "$$(make -s env)"
	@$(CLI) --name "$(NAME)" --context "$(CONTEXT)" env

test: check ## all tests, on a cluster of their own; LEVEL=unit|property|policy|integration for one level
	@$(CLI) --name test test "$(LEVEL)"

check: dev ## lint, format and types
	@.venv/bin/ruff check -q . && .venv/bin/ruff format -q --check . && .venv/bin/pyright

.PHONY: generate
generate: .venv ## write what the code and the figures determine: both schemas, settings.md, policies.md, isolation.md, tables of measurements
	@for each in stacks.settings:stacks/schema.json provider.host:provider/schema.json stacks.reference:docs/settings.md \
	  policies.docs:docs/policies.md components.isolation.docs:docs/isolation.md; do \
	  .venv/bin/python -m "$${each%%:*}" >"$${each#*:}.new" && mv "$${each#*:}.new" "$${each#*:}" || \
	    { rm -f "$${each#*:}.new"; exit 1; }; done
	@.venv/bin/python -m bench.tables

bench-autoscaling: dev ## a load step: how TaskManagers come, are used, and leave again (20 min)
	@.venv/bin/python -m bench.autoscaling --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

bench-preview: dev ## time and CPU of previews by the number of clusters and topics, beside kubectl diff (20 min)
	@.venv/bin/python -m bench.preview --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

bench-rescale: dev ## how long a job is disturbed by rescaling and failures, three settings side by side (hours)
	@.venv/bin/python -m bench.rescale --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

bench-upgrades: dev ## ten upgrades under load, one killed half-way: what is lost
	@.venv/bin/python -m bench.upgrades --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

bench-state: dev ## act on a job as people do: what becomes of its state (15 min)
	@.venv/bin/python -m bench.state --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

bench-logging: dev ## what becomes of lines that a job logs, and what shipping them costs it
	@.venv/bin/python -m bench.logging --name "$(NAME)" --context "$(CONTEXT)" $(BENCH_ARGS)

.PHONY: machine
machine:
	@$(PYTHON) -m local.machine $(if $(CONTEXT),--client)

.venv: requirements.txt requirements-dev.txt
	@if [ ! -e "$(VENV)/.done" ]; then \
	  echo "  Python packages: installing into $(VENV)" >&2; \
	  rm -rf "$(VENV)" && mkdir -p "$(CACHE)" && $(PYTHON) -m venv "$(VENV)" && \
	  "$(VENV)/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements.txt && touch "$(VENV)/.done"; fi
	@ln -sfn "$(VENV)" .venv

.PHONY: dev
dev: .venv ## add what tests, linters and bench/ need to the virtual environment
	@if [ ! -e .venv/.dev ]; then \
	  echo "  Python packages for tests, linters and bench/: installing" >&2; \
	  .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt && touch .venv/.dev; fi
