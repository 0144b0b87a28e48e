#!/bin/sh
# Prints what replaces this program of Apache Kafka.
exec "$(dirname "$(readlink -f "$0")")/../monedula" zookeeper-security-migration "$@"
