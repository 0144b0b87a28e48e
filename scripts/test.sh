#!/usr/bin/env bash
# Everything `make test` does: prerequisites, lint, integration tests, a short run of every fuzz target, unit tests
# (those of packages whose goroutines share memory under the race detector); then the slowest ten.
# MONEDULA_TEST_ALL=1 runs the full matrices: the integration tests' and, in a further run without the race detector
# (which makes long single-goroutine matrices ten times longer and finds nothing in them), the unit tests'; and every
# package under the race detector.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v go >/dev/null || { echo "test.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
# The folder of the sources leaves no trace in what is built, so that every clone finds it in Go's cache.
export GOFLAGS="${GOFLAGS:-} -trimpath"
scripts/prerequisites.sh test
make -s build
scripts/lint.sh
results=$(mktemp)
trap 'rm -f "$results"' EXIT
tests() { go run ./internal/testreport "$results" -- -vet=off "$@"; } # lint.sh has vetted
unit=$(go list ./... | grep -v -e /integration -e /internal/lint)    # and run internal/lint
# Packages without goroutines that share memory, and what one of the two lanes of integration tests plays.
alone='/(admin|cmd/monedula|metadata|protocol|record|settings|tools|zkserver/tree|internal/(bench|kafkalog|mutants|scenarios|simulation|testreport))$'
clusters='TestOurBrokersAndRealOnesFormOneCluster|TestARealClusterBecomesOursAndRealAgainUnderLoad|TestGroupsSurviveFailuresOfMembersAndBrokers|TestRacksAndUncleanElectionsInAMixedCluster|TestAnotherBrokerTakesOverTheGroup|TestTheTutorialsWorkWordForWord'
if [ -n "${MONEDULA_TEST_ALL:-}" ]; then
  raced=$unit plain=$unit fuzzed=20
else
  raced=$(grep -vE "$alone" <<<"$unit") plain=$(grep -E "$alone" <<<"$unit") fuzzed=2
  clusters+='|TestChaos|TestReassignmentsCanBeCancelledAndNeverGetStuck|TestTransactionsOfARealCoordinatorOnOurLeaders|TestAMoveBetweenLogDirsContinuesOnARealBrokerAndBack|TestAReassignmentIsThrottledByTheRealTool|TestAFailedLogDirectoryFailsOverAsWithRealBrokers|TestAClusterLosesNothingWhicheverBrokerFails'
fi
clusters="^($clusters)\$"
failed=0

# Most of the integration tests' time is spent waiting for other programs, so they run in two lanes side by side, cut so
# that both take about as long. What only computes takes the time they leave, at the lowest priority.
tests -count 1 -timeout 60m -run "$clusters" ./integration & lane=$!
{
  nice -n 19 go test -vet=off -race -exec true $raced >/dev/null # compiles what is run below
  nice -n 19 scripts/fuzz.sh "$fuzzed"
} & beside=$!
tests -count 1 -timeout 60m -skip "$clusters" ./integration/... || failed=1
wait "$lane" || failed=1
wait "$beside" || failed=1

(unset MONEDULA_TEST_ALL; tests -race $raced) || failed=1
tests -timeout 30m $plain || failed=1
if [ -z "${MONEDULA_TEST_ALL:-}" ]; then # what does not count under the race detector
  tests -timeout 30m -run '^(TestNoRequestCostsMoreThanItsSize|TestAbsurdCountsCostNothing|TestHandlersTakeNoMoreThanInProportion)$' ./broker || failed=1
fi
go run ./internal/testreport -summary "$results"
exit $failed
