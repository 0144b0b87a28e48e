#!/bin/sh
# Produces rising numbers and prints what became of each.
exec "${0%/*}/../monedula" kafka-verifiable-producer "$@"
