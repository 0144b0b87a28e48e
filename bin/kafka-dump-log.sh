#!/bin/sh
# Prints what is in segment and index files.
exec "${0%/*}/../monedula" kafka-dump-log "$@"
