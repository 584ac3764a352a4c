# `make help` lists the targets. `make run` and `make test` need nothing but Go.

GO      ?= go
T       ?= 60s
LISTEN  ?= 127.0.0.1:8000

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## build perchd and serve on LISTEN (127.0.0.1:8000)
	./bin/perchd --listen $(LISTEN)

.PHONY: build
build: ## build bin/perchd, bin/perchbench and bin/perchvet, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

.PHONY: test
test: ## run all tests; lists at the end those that were skipped for want of a program, and how to get it
	$(GO) run ./internal/testrun $(GO) test ./...

.PHONY: race
race: ## run all tests with the race detector, in random order (needs gcc)
	CGO_ENABLED=1 $(GO) run ./internal/testrun $(GO) test -race -shuffle=on ./...

.PHONY: check
check: ## gofmt, go vet, staticcheck, perchvet, and the tests of the layout
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not gofmt-ed:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) run ./cmd/perchvet -test=false ./...
	$(GO) test -count=1 -run '^TestLayout' .

.PHONY: conformance
conformance: ## run the conformance cases, each by name
	$(GO) test ./internal/conformance -v -count=1

# A fuzz run takes one target of one package, so they are found and run in turn.
.PHONY: fuzz
fuzz: ## run every fuzz target for T (60s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target $(T)"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzzminimizetime 20x -fuzztime $(T) $$pkg; \
		done; \
	done

.PHONY: soak
soak: T = 10m
soak: ## run the model test of rooms for T (10m), each time with another seed
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 0 -run '^TestRoomsModel$$' ./internal/enginetest/rooms -rooms.for $(T)

# Peers in Go come from the module proxy. Those in other languages, and the yardstick in C, are skipped with a note if
# a program for them is missing.
.PHONY: bench
bench: T = $(if $(BASE),8m,17m)
bench: build ## measure all servers in turn for T (17m), write bench/report/index.html; BASE=commit compares with that (8m)
	@$(MAKE) --no-print-directory baseline || echo "no gcc: without the yardsticks"
	bin/perchbench suite --time $(T) $(if $(BASE),--base $(BASE))

.PHONY: bench-smoke
bench-smoke: build ## check in a minute that every measurement works
	@$(MAKE) --no-print-directory baseline || echo "no gcc: without the yardsticks"
	bin/perchbench suite --smoke --out bin/smoke

.PHONY: abuse
abuse: build ## attack perchd in every way we know, and measure the effect on a bystander (15m); ONLY=A4,B3 chooses
	bin/perchbench abuse --only "$(ONLY)"

.PHONY: microbench
microbench: ## run the Go benchmarks COUNT (6) times, print medians and spread; BASE=commit compares, ONLY=regexp PKG=./frame choose
	bench/microbench.sh $(BASE)

.PHONY: baseline
baseline: ## build the yardsticks of bench/baseline (needs gcc)
	$(MAKE) -C bench/baseline

.PHONY: pgo
pgo: build baseline ## take a new profile, with which go build optimises perchbench and perchd
	bench/pgo.sh

.PHONY: cover
cover: ## run all tests, write cover.html, print the total
	$(GO) test -coverpkg ./... -coverprofile cover.out ./...
	$(GO) tool cover -html cover.out -o cover.html
	@$(GO) tool cover -func cover.out | tail -n 1

.PHONY: clean
clean: ## remove all that was built
	rm -rf bin cover.out cover.html
	$(MAKE) -C bench/baseline clean
