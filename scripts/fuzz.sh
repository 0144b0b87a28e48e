#!/usr/bin/env bash
# Runs every fuzz target of the tree for so many seconds each.
#   scripts/fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | sort | while read -r file; do
  dir=$(dirname "$file")
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    echo "fuzz $dir $target for ${seconds}s"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" "$dir" >"${TMPDIR:-/tmp}/monedula-fuzz.$$" 2>&1 </dev/null || {
      cat "${TMPDIR:-/tmp}/monedula-fuzz.$$"
      exit 1
    }
    rm -f "${TMPDIR:-/tmp}/monedula-fuzz.$$"
  done
done
