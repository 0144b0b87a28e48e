#!/bin/sh
# Measures how fast records are produced.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-producer-perf-test "$@"
