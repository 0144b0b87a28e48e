# `make` prints the targets.

SECONDS ?= 60
DURATION ?= 30m
SEEDS ?= 1000
HISTORIES ?= 100000
FIRST ?= 1
LISTS ?=
comma := ,

.DEFAULT_GOAL := help
.PHONY: help build run test test-all race bench chaos sim crashes mutants lint fuzz clean

help: ## print the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build the one static binary, ./monedula
	@CGO_ENABLED=0 go build -trimpath -o monedula ./cmd/monedula

run: ## install what is missing, build, start ZooKeeper and a broker on localhost:9092; Ctrl-C stops both
	@scripts/run.sh

test: ## install what is missing and pass all tests
	@scripts/test.sh

test-all: ## the same with the full matrices
	@MONEDULA_TEST_ALL=1 scripts/test.sh

race: ## all unit tests under the race detector
	@go test -race $$(go list ./... | grep -v /integration)

lint: ## formatting, vet, and the rules of the house
	@scripts/lint.sh

fuzz: ## every fuzz target for SECONDS (60) each
	@scripts/fuzz.sh $(SECONDS)

chaos: build ## strike a cluster at random for DURATION (30m); MONEDULA_CHAOS_SEED repeats a choice of faults
	@MONEDULA_CHAOS_DURATION=$(DURATION) go test ./integration -run '^TestChaos$$' -count 1 -v -timeout 0

sim: ## simulate a cluster in one goroutine for SEEDS (1000) seeds from FIRST (1) on; prints those that fail
	@go test ./internal/simulation -run '^TestSeeds$$' -count 1 -v -timeout 0 -seeds $(SEEDS) -first $(FIRST)

crashes: ## play HISTORIES (100000) random histories of a log over crashes from FIRST (1) on; stops at one that fails
	@go test ./storage -run '^TestRandomHistoriesSurviveCrashes$$' -count 1 -v -timeout 0 -crash.seeds $(HISTORIES) -crash.first $(FIRST)

mutants: ## take away every listed safeguard and show which tests notice (hours); LISTS=storage,replication for some of the lists
	@go run ./internal/mutants -safeguards $(subst $(comma), ,$(LISTS))

bench: build ## measure against a real Apache Kafka, side by side
	@scripts/bench.sh

clean: ## remove what building made
	@rm -f monedula
