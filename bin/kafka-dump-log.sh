#!/bin/sh
# Prints what is in segment and index files.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-dump-log "$@"
