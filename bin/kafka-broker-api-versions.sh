#!/bin/sh
# Prints the API versions of every broker.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-broker-api-versions "$@"
