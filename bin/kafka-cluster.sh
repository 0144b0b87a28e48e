#!/bin/sh
# Prints the id of a cluster.
exec "${0%/*}/../monedula" kafka-cluster "$@"
