#!/bin/sh
# Elects preferred leaders. This is the tool of releases up to 2.8.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-preferred-replica-election "$@"
