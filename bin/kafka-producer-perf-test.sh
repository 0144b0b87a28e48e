#!/bin/sh
# Measures how fast records are produced.
exec "${0%/*}/../monedula" kafka-producer-perf-test "$@"
