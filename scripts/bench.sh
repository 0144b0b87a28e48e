#!/usr/bin/env bash
# Measures ./monedula beside a real Apache Kafka, in turns, and prints one table in Markdown.
#   scripts/bench.sh [-quick] [-ours] [-rounds N] [-partitions N] [-recovery-gb N] [-out FILE] [MEASUREMENT...]
#   -help lists options and measurements: one broker beside one, groups (group-...), three beside three (cluster-...),
#   and what a fetch costs beside idle partitions, of ours only (fetch-rounds)
# Environment: BENCH_QUICK=1 small sizes (under 15 minutes instead of under 90), BENCH_OUT=FILE a copy of the table,
# TMPDIR where the logs lie (the whole run needs about 20 GB there). Ctrl-C stops what was started and prints what there is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v go >/dev/null || { echo "bench.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
scripts/prerequisites.sh run
scripts/kafka-jars.sh 3.9.1 >/dev/null
[ -x monedula ] || make -s build
work=$(mktemp -d "${TMPDIR:-/tmp}/monedula-bench.XXXXXX")
go build -o "$work/bench" ./internal/bench || { rm -rf "$work"; exit 1; }
exec "$work/bench" -work "$work" "$@"
