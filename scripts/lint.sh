#!/usr/bin/env bash
# Checks formatting, go vet, staticcheck, unreachable functions, the rules in internal/lint, and the
# files in config/monitoring.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tool() { go tool -modfile=scripts/tools.mod "$@"; }
unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "gofmt would change:"; echo "$unformatted"; exit 1; }
go vet ./...
go vet -C packaging ./...
tool staticcheck ./...
go test -timeout 30m ./internal/lint # also on a busy machine
(cd scripts/alertrules && go vet . && go run . ../../config/monitoring)

# Functions that the program cannot reach. scripts/unreachable.txt lists those that tests of other
# packages or the simulation need, with the reason.
unreachable=$(tool deadcode -filter 'monedula/monedula/[^i]' -f '{{range .Funcs}}{{printf "%s.%s\n" $.Path .Name}}{{end}}' ./cmd/monedula | sed '/^$/d; s,.*monedula/monedula/,,')
diff <(sed 's/ *#.*//; /^$/d' scripts/unreachable.txt | sort) <(sort <<<"$unreachable") >/dev/null || {
  echo "unreachable functions differ from scripts/unreachable.txt (<: listed, >: found):"
  diff <(sed 's/ *#.*//; /^$/d' scripts/unreachable.txt | sort) <(sort <<<"$unreachable") || true
  exit 1
}
