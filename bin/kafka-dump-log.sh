#!/bin/sh
# Prints the contents of segment and index files.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-dump-log "$@"
