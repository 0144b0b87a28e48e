#!/bin/sh
# Prints the offsets of partitions.
exec "${0%/*}/../monedula" kafka-get-offsets "$@"
