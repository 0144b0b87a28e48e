#!/bin/sh
# Prints the offsets of partitions.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-get-offsets "$@"
