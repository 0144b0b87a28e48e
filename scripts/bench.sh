#!/usr/bin/env bash
# Benchmarks ./monedula and a real Apache Kafka alternately and prints a Markdown table.
#   scripts/bench.sh [-quick] [-ours] [-rounds N] [-partitions N] [-recovery-gb N] [-out FILE] [MEASUREMENT...]
#   -help lists the options and measurements: single brokers, groups (group-...), transactions, streams (an application with
#   exactly_once_v2), transaction-load, cleaner, clusters of three brokers (cluster-...) and, for ./monedula only, the cost of
#   a fetch with many idle partitions (fetch-rounds).
#   The figures of transactions and compaction: scripts/bench.sh -out FILE transactions streams transaction-load cleaner,
#   which takes half an hour. Figures count only if the machine is otherwise idle.
# Environment: BENCH_QUICK=1 uses small sizes (under 20 minutes instead of under 120); BENCH_OUT=FILE writes a copy of the table;
# TMPDIR is the directory for the logs (a full run needs about 20 GB). Ctrl-C stops all processes and prints the results so far.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v go >/dev/null || { echo "bench.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
scripts/prerequisites.sh run
scripts/kafka-jars.sh 3.9.1 >/dev/null
[ -x monedula ] || make -s build
work=$(mktemp -d "${TMPDIR:-/tmp}/monedula-bench.XXXXXX")
go build -o "$work/bench" ./internal/bench || { rm -rf "$work"; exit 1; }
exec "$work/bench" -work "$work" "$@"
