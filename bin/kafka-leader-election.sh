#!/bin/sh
# Elects preferred or, in need, unclean leaders.
exec "${0%/*}/../monedula" kafka-leader-election "$@"
