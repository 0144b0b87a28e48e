#!/bin/sh
# Continuously compares the replicas of partitions.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-replica-verification "$@"
