# What there is to do with this tree. Every target that has a ## is listed by
# plain "make".

# Looked for only by the targets that need it: "make" alone works without Go.
GO = $(eval GO := $(shell .ci/find-go))$(or $(GO),$(error no suitable Go))
# With the tools that Go calls by name. The race detector is all that needs C.
go = PATH="$(dir $(GO)):$$PATH" $(GO)

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 10s
BENCH ?= BenchmarkPlan|BenchmarkEvent
MACHINE_TIMEOUT ?= 40m

# A root that is not the tree's owner may still read its history.
export GIT_CONFIG_COUNT = 1
export GIT_CONFIG_KEY_0 = safe.directory
export GIT_CONFIG_VALUE_0 = $(CURDIR)

.PHONY: help build verify fmt vet tidy race race-simulation bench machines test demo down fuzz deps clean root
.NOTPARALLEL:

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build static binaries into bin/
	CGO_ENABLED=0 $(go) build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X fleet/fleetctl.linked=$(VERSION)' -o bin/ ./cmd/... ./examples/hello

verify: fmt vet tidy race ## check format, code, dependencies; race tests of everything that needs no machines

fmt:
	@unformatted=$$("$$($(go) env GOROOT)/bin/gofmt" -l .); \
	if [ -n "$$unformatted" ]; then echo "to be formatted with gofmt:" $$unformatted; exit 1; fi

# With the tag, so that the machine tests are looked at too.
vet:
	$(go) vet -tags machine ./...
	$(go) tool staticcheck -tags machine ./...

tidy:
	$(go) mod tidy -diff

# The race detector itself crashes now and then where many timers fire within
# testing/synctest (golang.org/issue/78156, open as of Go 1.26), so the simulated
# clusters are not under it here; "make race-simulation" takes the chance.
race:
	CGO_ENABLED=1 $(go) test -race -timeout 15m $$($(go) list ./... | grep -v '/functional$$')
	$(go) test -timeout 15m ./functional

race-simulation:
	CGO_ENABLED=1 $(go) test -race -timeout 15m ./functional

bench: ## measure how fast units are placed (BENCH=regexp; up to 10,000 machines and 1,000,000 units)
	$(go) test -run '^$$' -bench '$(BENCH)' -benchtime 3x -timeout 60m ./schedule

test: root deps verify machines ## as root: verify, then the tests on real machines

# One package at a time: they would take each other's machines for left-overs.
machines:
	$(go) test -tags machine -count=1 -p 1 -timeout $(MACHINE_TIMEOUT) ./functional/... ./cmd/fleet-sandbox

root:
	@if [ "$$(id -u)" -ne 0 ]; then echo "real machines need root: sudo make $(MAKECMDGOALS)" >&2; exit 1; fi

demo: root deps build ## as root: three machines, and what happens when one dies
	./examples/demo.sh

down: root build ## as root: remove the machines of the demo
	bin/fleet-sandbox down

fuzz: ## run each fuzz test for FUZZTIME (10s)
	@set -e; grep -rlE --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file" | while read -r target; do \
			echo "$$target in $$(dirname "$$file")"; \
			$(go) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
		done; \
	done

deps: ## install the Debian packages that tests and demo need, where missing
	@.ci/deps

clean: ## remove what was built
	rm -rf bin
