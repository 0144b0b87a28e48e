#!/bin/sh
# Compares the replicas of partitions while they grow.
exec "${0%/*}/../monedula" kafka-replica-verification "$@"
