#!/bin/sh
# Compares the replicas of partitions while they grow.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-replica-verification "$@"
