#!/bin/sh
# Lists and describes transactions, and finds and aborts hanging ones.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-transactions "$@"
