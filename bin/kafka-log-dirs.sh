#!/bin/sh
# Shows what is in the log directories of brokers.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-log-dirs "$@"
