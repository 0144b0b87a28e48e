#!/bin/sh
# Measures the throughput and latency of a producer.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-producer-perf-test "$@"
