#!/bin/sh
# Reads in a group and prints what happens to it.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-verifiable-consumer "$@"
