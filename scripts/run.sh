#!/usr/bin/env bash
# Implements `make run`: builds ./monedula and runs `monedula dev`, which starts ZooKeeper and a
# broker on localhost:9092 and keeps their data in ./monedula-dev. Arguments are passed to it.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
command -v go >/dev/null || { echo "run.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
echo "Building ./monedula"
make -s build
exec ./monedula dev "$@"
