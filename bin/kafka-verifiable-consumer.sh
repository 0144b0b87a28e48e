#!/bin/sh
# Reads in a group and prints what happens to it.
exec "${0%/*}/../monedula" kafka-verifiable-consumer "$@"
