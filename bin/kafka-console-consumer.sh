#!/bin/sh
# Prints the records of a topic.
exec "${0%/*}/../monedula" kafka-console-consumer "$@"
