#!/bin/sh
# Elects preferred or unclean leaders.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-leader-election "$@"
