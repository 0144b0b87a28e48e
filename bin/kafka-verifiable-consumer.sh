#!/bin/sh
# Reads a topic in a consumer group and prints the events of the group member.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-verifiable-consumer "$@"
