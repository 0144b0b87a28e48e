#!/bin/sh
# Lists, describes and deletes consumer groups, and resets their offsets.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-consumer-groups "$@"
