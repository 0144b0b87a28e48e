#!/bin/sh
# Prints the records of a topic.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-console-consumer "$@"
