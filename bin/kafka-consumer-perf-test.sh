#!/bin/sh
# Measures the throughput of a consumer.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-consumer-perf-test "$@"
