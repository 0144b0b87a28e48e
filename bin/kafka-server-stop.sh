#!/bin/sh
# Stops the brokers of this program that run on this machine: all, or the one started with the
# given properties file.
#   bin/kafka-server-stop.sh [config/server.properties]
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-server-stop "$@"
