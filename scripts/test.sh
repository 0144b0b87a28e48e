#!/usr/bin/env bash
# Everything `make test` does: prerequisites, lint, unit tests (those that share memory between goroutines also
# under the race detector), integration tests, a short run of every fuzz target; then the slowest ten.
# MONEDULA_TEST_ALL=1 runs the full matrices: the integration tests' and, in a further run without the race detector
# (which makes long single-goroutine matrices ten times longer and finds nothing in them), the unit tests'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v go >/dev/null || { echo "test.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
scripts/prerequisites.sh test
make -s build
scripts/lint.sh
results=$(mktemp)
trap 'rm -f "$results"' EXIT
unit=$(go list ./... | grep -v /integration)
failed=0
env -u MONEDULA_TEST_ALL go run ./internal/testreport "$results" -- -race $unit || failed=1
if [ -n "${MONEDULA_TEST_ALL:-}" ]; then
  go run ./internal/testreport "$results" -- -timeout 30m $unit || failed=1
fi
# Most of the integration tests' time is spent waiting for other programs, so they run in two lanes side by side:
# those that play whole clusters for a minute or more, and all the others.
clusters='^(TestChaos|TestOursAndRealBrokersAreOneCluster|TestARealClusterBecomesOursAndRealAgainUnderLoad|TestGroupsHoldWhateverGoes|TestRacksAndUncleanElectionsInAMixedCluster|TestReassignmentsAreCancelledAndNeverStick|TestTransactionsOfARealCoordinatorOnOurLeaders|TestAMoveBetweenLogDirsGoesOnOnARealBrokerAndBack|TestAnotherBrokerGoesOnWithTheGroup|TestTheTutorialsWorkWordForWord|TestAReassignmentIsThrottledByTheRealTool|TestAFailedLogDirectoryFailsOverAsWithRealBrokers|TestAClusterLosesNothingWhateverBrokerGoes)$'
go run ./internal/testreport "$results" -- -timeout 60m -run "$clusters" ./integration & lane=$!
go run ./internal/testreport "$results" -- -timeout 60m -skip "$clusters" ./integration/... || failed=1
wait "$lane" || failed=1
scripts/fuzz.sh "$([ -n "${MONEDULA_TEST_ALL:-}" ] && echo 20 || echo 2)" || failed=1
go run ./internal/testreport -summary "$results"
exit $failed
