#!/bin/sh
# Lists, describes and deletes consumer groups, and resets their offsets.
exec "${0%/*}/../monedula" kafka-consumer-groups "$@"
