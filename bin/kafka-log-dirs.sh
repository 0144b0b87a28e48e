#!/bin/sh
# Shows what is in the log directories of brokers.
exec "${0%/*}/../monedula" kafka-log-dirs "$@"
