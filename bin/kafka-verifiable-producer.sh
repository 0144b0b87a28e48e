#!/bin/sh
# Produces increasing integers and prints the result of each send.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-verifiable-producer "$@"
