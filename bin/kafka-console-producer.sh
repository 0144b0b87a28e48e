#!/bin/sh
# Sends lines of stdin to a topic.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-console-producer "$@"
