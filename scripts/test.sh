#!/usr/bin/env bash
# Everything `make test` does: prerequisites, lint, unit tests (those of packages whose goroutines share memory under
# the race detector), integration tests, a short run of every fuzz target; then the slowest ten.
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
single='/(admin|cmd/monedula|metadata|protocol|record|settings|tools|zkserver/tree|internal/(bench|kafkalog|scenarios|simulation|testreport))$'
failed=0
if [ -z "${MONEDULA_TEST_ALL:-}" ]; then
  tests -race $(grep -vE "$single" <<<"$unit") || failed=1
  tests $(grep -E "$single" <<<"$unit") || failed=1
else
  env -u MONEDULA_TEST_ALL go run ./internal/testreport "$results" -- -vet=off -race $unit || failed=1
  tests -timeout 30m $unit || failed=1
fi
# Most of the integration tests' time is spent waiting for other programs, so they run in two lanes side by side:
# those that play whole clusters for a minute or more, and all the others.
clusters='^(TestChaos|TestOursAndRealBrokersAreOneCluster|TestARealClusterBecomesOursAndRealAgainUnderLoad|TestGroupsHoldWhateverGoes|TestRacksAndUncleanElectionsInAMixedCluster|TestReassignmentsAreCancelledAndNeverStick|TestTransactionsOfARealCoordinatorOnOurLeaders|TestAMoveBetweenLogDirsGoesOnOnARealBrokerAndBack|TestAnotherBrokerGoesOnWithTheGroup|TestTheTutorialsWorkWordForWord|TestAReassignmentIsThrottledByTheRealTool|TestAFailedLogDirectoryFailsOverAsWithRealBrokers|TestAClusterLosesNothingWhateverBrokerGoes)$'
tests -count 1 -timeout 60m -run "$clusters" ./integration & lane=$!
tests -count 1 -timeout 60m -skip "$clusters" ./integration/... || failed=1
wait "$lane" || failed=1
scripts/fuzz.sh "$([ -n "${MONEDULA_TEST_ALL:-}" ] && echo 20 || echo 2)" || failed=1
go run ./internal/testreport -summary "$results"
exit $failed
