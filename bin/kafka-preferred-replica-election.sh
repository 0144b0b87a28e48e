#!/bin/sh
# Elects preferred leaders. Kafka has this tool up to 2.8.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-preferred-replica-election "$@"
