#!/bin/sh
# Shows the contents of the log directories of brokers.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-log-dirs "$@"
