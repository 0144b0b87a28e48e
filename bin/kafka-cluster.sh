#!/bin/sh
# Prints the id of a cluster.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-cluster "$@"
