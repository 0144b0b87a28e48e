#!/bin/sh
# Elects preferred or, in need, unclean leaders.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-leader-election "$@"
