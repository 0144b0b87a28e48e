#!/usr/bin/env bash
# Implements `make test`: prerequisites, lint, integration tests, a short run of every fuzz target,
# and unit tests (with the race detector for packages whose goroutines share memory). Then prints
# the ten slowest tests. MONEDULA_TEST_ALL=1 runs the full matrices: those of the integration tests,
# and those of the unit tests in a separate run without the race detector, which makes long
# single-goroutine matrices ten times slower and finds nothing in them. It also runs every package
# with the race detector.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v go >/dev/null || { echo "test.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
# Keep the source directory out of build output, so that all clones share Go's build cache.
export GOFLAGS="${GOFLAGS:-} -trimpath"
scripts/prerequisites.sh test
make -s build
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
gotestsum() { go tool -modfile=scripts/tools.mod gotestsum "$@"; }
# tests runs go test, prints a line for each package and the output of failed tests, and keeps the
# result of each test. lint.sh runs go vet.
tests() { gotestsum --hide-summary skipped --jsonfile-timing-events "$(mktemp "$results/XXXXXX")" -- -vet=off "$@"; }
unit=$(go list ./... | grep -v -e /integration -e /internal/lint) # lint.sh runs internal/lint
# pattern joins the names of lists in scripts/lanes.txt to a regular expression.
pattern() { sed -nE "s,^($1) +(.* )?,,p" scripts/lanes.txt | sed 's,/\.\.\.$,(/.*)?,' | paste -sd '|' -; }
plain="/($(pattern plain))\$" first=first unraced="^($(pattern unraced))\$"
if [ -n "${MONEDULA_TEST_ALL:-}" ]; then
  raced=$unit plain=$unit first='first|all' fuzzed=20 skipped=() limit=3h
else
  raced=$(grep -vE "$plain" <<<"$unit") plain=$(grep -E "$plain" <<<"$unit") fuzzed=2 skipped=(-skip "$unraced") limit=1h
fi
first="^($(pattern "$first"))\$" elsewhere=$first # tests that the second lane leaves out
[ -n "${MONEDULA_TEST_ALL:-}" ] || elsewhere+="|^($(pattern long))\$"
failed=0

# Most of the time of the integration tests is spent waiting for other programs, so they run in two
# concurrent lanes of about the same length, the tests without the race detector at the end of the
# first.
# Lint, compiling and fuzzing use the remaining CPU time at the lowest priority.
{
  tests -count 1 -timeout "$limit" -run "$first" ./integration || failed=1
  tests -timeout 30m $plain || failed=1
  if [ -z "${MONEDULA_TEST_ALL:-}" ]; then
    tests -timeout 30m -run "$unraced" $(sed -nE 's,^unraced +([^ ]*) .*,./\1,p' scripts/lanes.txt | sort -u) || failed=1
  fi
  exit $failed
} & lane=$!
{
  background_failed=0
  nice -n 19 scripts/lint.sh || background_failed=1
  nice -n 19 go test -vet=off -race -exec true $raced >/dev/null || background_failed=1 # compiles the tests that run below
  nice -n 19 scripts/fuzz.sh "$fuzzed" || background_failed=1
  exit $background_failed
} & background=$!
tests -count 1 -timeout "$limit" -skip "$elsewhere" ./integration/... || failed=1
wait "$lane" || failed=1

(unset MONEDULA_TEST_ALL; tests -race "${skipped[@]}" $raced) || failed=1
wait "$background" || failed=1

cat "$results"/* >"$results/all"
echo "The slowest ten:"
gotestsum tool slowest --num 10 --threshold 1ms --jsonfile "$results/all"
number() { grep -c "\"Action\":\"$1\".*\"Test\":" "$results/all" || true; }
if [ "$(number skip)" != 0 ]; then
  echo "$(number skip) tests were skipped; every test must run"
  failed=1
fi
echo "$(number pass) passed, $(number fail) failed"
exit $failed
