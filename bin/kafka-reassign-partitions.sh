#!/bin/sh
# Moves replicas between brokers and log directories.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-reassign-partitions "$@"
