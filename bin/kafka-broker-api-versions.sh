#!/bin/sh
# Prints the API versions of every broker.
exec "${0%/*}/../monedula" kafka-broker-api-versions "$@"
