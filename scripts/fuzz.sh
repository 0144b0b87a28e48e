#!/usr/bin/env bash
# Runs every fuzz target of the tree for so many seconds each.
#   scripts/fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | sort | while read -r file; do
  dir=$(dirname "$file")
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    echo "fuzz $dir $target for ${seconds}s"
    until go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" "$dir" >"$said" 2>&1 </dev/null; do
      # go test sometimes reports its own deadline as a failure (golang/go#75804); no input failed then, and it is run again.
      grep -qx '    context deadline exceeded' "$said" && ! grep -q 'Failing input' "$said" || { cat "$said"; exit 1; }
    done
  done
done
