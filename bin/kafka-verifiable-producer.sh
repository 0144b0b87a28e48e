#!/bin/sh
# Produces rising numbers and prints what became of each.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-verifiable-producer "$@"
