#!/bin/sh
# Sends lines of stdin to a topic.
exec "${0%/*}/../monedula" kafka-console-producer "$@"
