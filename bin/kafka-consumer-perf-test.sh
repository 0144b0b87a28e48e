#!/bin/sh
# Measures how fast records are read.
exec "${0%/*}/../monedula" kafka-consumer-perf-test "$@"
