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
  raced=$unit plain=$unit first='first|all' second=apache fuzzed=20 skipped=() limit=3h
else
  raced=$(grep -vE "$plain" <<<"$unit") plain=$(grep -E "$plain" <<<"$unit") second=embedded fuzzed=1 skipped=(-skip "$unraced") limit=1h
fi
first="^($(pattern "$first"))\$" elsewhere=$first # tests that the second lane leaves out
[ -n "${MONEDULA_TEST_ALL:-}" ] || elsewhere+="|^($(pattern long))\$"
failed=0

# Three lanes run at the same time: two of integration tests, which mostly wait for other programs, and
# one of everything else, which uses the CPU time that they leave. It has a lower priority, so tests
# that wait for other programs do not wait for it. In `make test` the second lane uses the embedded
# ZooKeeper server; with MONEDULA_TEST_ALL both use Apache ZooKeeper, and in the end all integration
# tests run on the embedded server, without the full matrices.
tests -count 1 -timeout "$limit" -run "$first" ./integration & lane=$!
{
  others_failed=0
  renice -n 10 $BASHPID >/dev/null
  scripts/lint.sh || others_failed=1
  tests -timeout 30m $plain || others_failed=1
  if [ -z "${MONEDULA_TEST_ALL:-}" ]; then
    tests -timeout 30m -run "$unraced" $(sed -nE 's,^unraced +([^ ]*) .*,./\1,p' scripts/lanes.txt | sort -u) || others_failed=1
  fi
  (unset MONEDULA_TEST_ALL; tests -race -timeout 30m "${skipped[@]}" $raced) || others_failed=1
  gotestsum --jsonfile-timing-events "$(mktemp "$results/XXXXXX")" \
    --raw-command -- go test -C packaging -json -vet=off -timeout "$limit" ./... & packaging=$! # a module of its own
  nice -n 19 scripts/fuzz.sh "$fuzzed" || others_failed=1
  wait "$packaging" || others_failed=1
  exit $others_failed
} & others=$!
MONEDULA_ZOOKEEPER=$second tests -count 1 -timeout "$limit" -skip "$elsewhere" ./integration/... || failed=1
wait "$lane" || failed=1
wait "$others" || failed=1
if [ -n "${MONEDULA_TEST_ALL:-}" ]; then
  (unset MONEDULA_TEST_ALL; MONEDULA_ZOOKEEPER=embedded tests -count 1 -timeout "$limit" -skip "^($(pattern long))\$" ./integration) || failed=1
fi

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
