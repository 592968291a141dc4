# NodeDB. `make` alone prints this help.

SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
# No paths of this machine in binaries. The agent has C code: it is loaded at another
# address at each start, and so is all else that has, tests and tools too: what they
# share, C and the standard library, is compiled once: with a cold cache that is 190 s
# of a core, half of them C.
export GOFLAGS := -trimpath -buildmode=pie
# The commit goes into the binaries, where there is one.
STAMP := -buildvcs=$(if $(wildcard .git),true,false)
# nodedbctl has no C code, and stays one static file.
CTL := CGO_ENABLED=0 $(GO) build -buildmode=exe
# What is tested, vetted and linted is one build, with its checks on: a package is
# compiled once for all of them, and once as it ships.
CHECKED := -tags invariants
CLUSTER_PKGS := ./agent/agenttest/...
SOURCES := $(wildcard agent client cmd tui)

.PHONY: help build demo test check bench bench-compare bench-scale fmt lint vet generate generate-check man unit cluster fuzz test-long vuln clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build nodedb-agent and nodedbctl into bin/
	$(GO) build $(STAMP) -ldflags '$(LDFLAGS)' -o bin/nodedb-agent ./cmd/nodedb-agent
	$(CTL) $(STAMP) -ldflags '$(LDFLAGS)' -o bin/nodedbctl ./cmd/nodedbctl

demo: build ## a secure throw-away cluster of four nodes with live load
	bin/nodedbctl demo --nodes 4 --workload

test: check ## everything CI runs: build, vet, lint, unit and cluster tests

check: build fmt-check vet generate-check vuln lint unit cluster ## the same as test

# go tool would compile the standard library anew, for it takes nothing of GOFLAGS.
tool = $(GO) build -modfile=.tools/$(1) -o bin/tools/$(notdir $(2)) $(2)

VULNDB ?= https://vuln.go.dev
vuln: ## known vulnerabilities of what is linked (skipped where VULNDB cannot be reached)
	@if curl -fsS -m 10 -o /dev/null $(VULNDB)/index/db.json 2>/dev/null; \
	  then $(call tool,vuln.mod,golang.org/x/vuln/cmd/govulncheck) && bin/tools/govulncheck -db $(VULNDB) ./cmd/...; \
	  else echo "vuln: skipped: $(VULNDB) cannot be reached"; fi

# The simulation takes longest, and one core: it begins first. Most others wait: four
# beside each other. None is vetted again: make vet has done so.
unit: ## unit tests, with invariants on; then upgrades to the build that has the next version
	$(GO) test -vet=off -p 4 $(CHECKED) ./agent/internal/sim $$($(GO) list ./... | grep -v /agent/agenttest)
	$(GO) test -tags 'invariants nextversion' ./agent/internal/metastate ./agent/internal/datastate ./agent/internal/sim -run 'TestUpgrades|TestNext'

# Clusters wait more than they compute: several run beside each other on two cores.
cluster: checked ## tests on real processes with invariants on
	NODEDB_BIN=$(CURDIR)/bin/checked $(GO) test -vet=off $(CHECKED) -p 2 -parallel 3 -count 1 -timeout 25m $(CLUSTER_PKGS)

# The binaries that tests run: with the checks that cost too much for production.
.PHONY: checked
checked:
	$(GO) build $(CHECKED) -ldflags '$(LDFLAGS)' -o bin/checked/nodedb-agent ./cmd/nodedb-agent
	$(GO) build -tags 'invariants nextversion' -ldflags '$(LDFLAGS)-next' -o bin/checked/nodedb-agent-next ./cmd/nodedb-agent
	$(CTL) -ldflags '$(LDFLAGS)' -o bin/checked/nodedbctl ./cmd/nodedbctl

# What a newcomer sets: BENCH_QUICK=1, BENCH_ONLY=step,step, BENCH_OUT=file (docs/BENCHMARKS.md).
BENCH_OUT ?= bin/bench.jsonl
bench: build peers ## the figures of docs/BENCHMARKS.md, beside etcd and PostgreSQL (BENCH_QUICK=1: 3 minutes)
	BENCH_ETCD=$(CURDIR)/bin/peers/etcd BENCH_OUT=$(abspath $(BENCH_OUT)) BENCH_PROFILE=$(abspath $(BENCH_PROFILE)) \
	  $(GO) test -tags bench -count 1 -timeout 90m -v -run '^TestBench$$' ./agent/agenttest/bench
	$(if $(BENCH_ONLY)$(BENCH_QUICK),,$(GO) test -tags bench -count 1 -timeout 30m -v -run TestBench ./tui)

bench-scale: ## the control plane of 1,000 nodes and 100,000 ranges, synthetic
	$(GO) test -run xxx -bench 'Hub|Scale|StatusIntake|Coordinator|Publish|Since|Owner|Decommission|OKToStop|Rebalance' -benchmem \
	  ./agent/internal/operation ./agent/internal/metastate ./agent/internal/placement ./agent/internal/admin \
	  ./agent/internal/routing ./tui ./tui/internal/feed

bench-compare: ## compare two runs of bench: OLD=file NEW=file
	@test -n "$(OLD)" -a -n "$(NEW)" || { echo "make bench-compare OLD=file NEW=file: files that make bench BENCH_OUT=file wrote"; exit 2; }
	@$(GO) run ./agent/agenttest/bench/benchreport $(OLD) $(NEW)

# etcd from its Go module, at the version of .tools/etcd.mod. Not an error without a network.
.PHONY: peers
peers:
	@mkdir -p bin/peers
	@$(GO) build -buildmode=exe -modfile=.tools/etcd.mod -o bin/peers/etcd go.etcd.io/etcd/server/v3 2>bin/peers/etcd.log || { rm -f bin/peers/etcd; \
	  echo "bench: etcd is not measured: it could not be built from its Go module (no network?): $$(tail -n 1 bin/peers/etcd.log)"; }

# One trial of other workloads, faults or seeds: docs/CONTRIBUTING.md.
TRIAL_FOR ?= 10m
TRIAL_ARGS ?= -clients 6 -pause 30ms
.PHONY: trial
trial: checked
	NODEDB_BIN=$(CURDIR)/bin/checked $(GO) test -count 1 -timeout 60m -v -run '^TestTrial$$' ./agent/agenttest/trial -args -seed 0 -for $(TRIAL_FOR) $(TRIAL_ARGS)

# Trials must find what is planted in real processes.
.PHONY: trial-planted
trial-planted: checked
	@mkdir -p bin/planted && cp bin/checked/nodedbctl bin/planted/
	$(GO) build -tags 'invariants planted' -ldflags '$(LDFLAGS)' -o bin/planted/nodedb-agent ./cmd/nodedb-agent
	NODEDB_BIN=$(CURDIR)/bin/planted $(GO) test -tags long -count 1 -timeout 30m -v -run Planted ./agent/agenttest/trial

# Packages whose tests draw from a seed (package agenttest/seed).
DRAWERS = $(shell grep -rl --include='*_test.go' agenttest/seed agent tui | xargs -n 1 dirname | sort -u | sed 's,^,./,')
# Packages that have faults planted, and must find them.
PLANTERS = $(shell grep -rl --include='*_test.go' '^//go:build planted' agent | xargs -n 1 dirname | sort -u | sed 's,^,./,')
test-long: build trial trial-planted ## long simulations, trials of ten minutes, fuzzing and fault suites; for a person
	$(GO) test -tags 'invariants long' -count 1 -timeout 90m ./agent/internal/sim/...
	$(GO) test -tags long -count 1 -timeout 60m -run 'TestAMillionUpdates|TestAnOldSnapshotIsTold' ./agent/agenttest
	$(GO) test -tags long -count 1 -timeout 60m -v ./agent/agenttest/clients
	ORACLE_PG_MUST=1 NODEDB_TEST_SEED=random NODEDB_BIN=$(CURDIR)/bin/checked $(GO) test -count 1 -timeout 90m -v -run TestGenerated ./agent/agenttest/oracle -args -statements 100000
	NODEDB_TEST_SEED=random $(GO) test -tags invariants -count 5 -timeout 60m $(DRAWERS)
	NODEDB_TEST_SEED=random $(GO) test -count 1 -timeout 60m -run TestRandomHistories ./agent/internal/placement -placement.histories 100000
	$(GO) test -tags 'invariants planted nextversion' -count 1 -timeout 30m -run Planted -v $(PLANTERS)
	$(MAKE) fuzz FUZZTIME=45s

FUZZTIME ?= 20s
# Without a bound, making one input smaller takes a minute in which nothing is tried.
fuzz: ## run every fuzz target for FUZZTIME
	@$(GO) list ./... | while read -r p; do \
	  for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; done; done

fmt: ## format the code
	gofmt -w $(SOURCES)

.PHONY: fmt-check
fmt-check:
	@out=$$(gofmt -l $(SOURCES)); test -z "$$out" || { echo "not formatted (run make fmt):"; echo "$$out"; exit 1; }

vet:
	$(GO) vet $(CHECKED) ./...
	$(GO) vet -tags 'invariants bench' ./agent/agenttest/bench ./tui

# Go's cache shares what cgo wrote between checkouts (-trimpath), and golangci-lint what it
# found: both name files of the checkout that came first, and fail or complain of nothing
# when that one is gone. So both are kept apart for each checkout.
lint: export GOLANGCI_LINT_CACHE = $(CURDIR)/bin/lint
lint: export CGO_CFLAGS = -g -O2 -DCHECKOUT=$(shell pwd | cksum | cut -d' ' -f1)
lint: ## golangci-lint (its first build takes minutes)
	$(call tool,go.mod,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	bin/tools/golangci-lint run ./...

man: build ## man pages of nodedbctl into bin/man/
	bin/nodedbctl man bin/man

generate: ## regenerate the admin protocol's code, docs/CLI.md, docs/schema/, docs/THIRD_PARTY.md
	$(GO) generate ./...

generate-check: generate
	@git diff --exit-code --stat -- client docs || { echo "generated code is stale: run make generate and commit"; exit 1; }

clean: ## remove build output
	rm -rf bin
