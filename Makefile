# `make` prints the targets.

SECONDS ?= 60
DURATION ?= 30m
SEEDS ?= 1000
HISTORIES ?= 100000
FIRST ?= 1
LISTS ?=
DEV ?=
comma := ,

.DEFAULT_GOAL := help
.PHONY: help build run run-ensemble test test-all race bench chaos sim crashes mutants lint fuzz dist licenses clean

help: ## print this list of targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build the one static binary, ./monedula
	@CGO_ENABLED=0 go build -trimpath -o monedula ./cmd/monedula

run: ## build and start an embedded ZooKeeper and a broker on localhost:9092; Ctrl-C stops both; DEV="--brokers 3" passes options
	@scripts/run.sh $(DEV)

run-ensemble: ## like run, with Apache ZooKeeper, which is installed if it is missing
	@scripts/run-ensemble.sh

test: ## install missing prerequisites and run all tests
	@scripts/test.sh

test-all: ## run all tests with the full matrices
	@MONEDULA_TEST_ALL=1 scripts/test.sh

race: ## run all unit tests with the race detector
	@go test -race $$(go list ./... | grep -v /integration)

lint: ## check formatting, go vet, staticcheck, unreachable functions, and the project's own rules
	@scripts/lint.sh

fuzz: ## run every fuzz target for SECONDS (60)
	@scripts/fuzz.sh $(SECONDS)

chaos: build ## inject random faults for DURATION (30m) each into a cluster and into one with transactions; MONEDULA_CHAOS_SEED repeats a choice of faults
	@MONEDULA_CHAOS_DURATION=$(DURATION) go test ./integration -run '^TestChaos(OfTransactions)?$$' -count 1 -v -timeout 0

sim: ## simulate a cluster in one goroutine for SEEDS (1000) seeds starting at FIRST (1); prints failing seeds
	@go test ./internal/simulation -run '^TestSeeds$$' -count 1 -v -timeout 0 -seeds $(SEEDS) -first $(FIRST)

crashes: ## run HISTORIES (100000) random histories of a log with crashes, starting at FIRST (1); stops at the first failure
	@go test ./storage -run '^TestRandomHistoriesSurviveCrashes$$' -count 1 -v -timeout 0 -crash.seeds $(HISTORIES) -crash.first $(FIRST)

mutants: ## remove each listed safeguard and show which tests notice (hours); LISTS=storage,replication selects lists
	@go run ./internal/mutants -safeguards $(subst $(comma), ,$(LISTS))

bench: build ## benchmark against a real Apache Kafka
	@scripts/bench.sh

dist: ## build archives, packages and images for amd64 and arm64 in ./dist
	@cd packaging && go run . -out ../dist

licenses: ## list the licenses of the linked modules in docs/licenses.md
	@cd packaging && go run . -licenses

clean: ## remove build output
	@rm -rf monedula dist
