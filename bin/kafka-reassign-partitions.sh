#!/bin/sh
# Moves replicas between brokers and log directories.
exec "${0%/*}/../monedula" kafka-reassign-partitions "$@"
