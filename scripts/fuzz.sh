#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds (default: 60).
#   scripts/fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpora=$(go env GOCACHE)/fuzz
for dir in $(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs dirname | sort -u); do
  go test -vet=off -c -fuzz . -o "$work/test" "$dir"
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go); do
    echo "fuzz $dir $target for ${seconds}s"
    until (cd "$dir" && "$work/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${seconds}s" \
      -test.fuzzcachedir "$corpora/$(go list)") >"$work/output" 2>&1 </dev/null; do
      # Go sometimes reports its own deadline as a failure (golang/go#75804). No input failed then, so run it again.
      grep -qx '    context deadline exceeded' "$work/output" && ! grep -q 'Failing input' "$work/output" || { cat "$work/output"; exit 1; }
    done
  done
done
