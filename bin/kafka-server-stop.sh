#!/bin/sh
# Stops the brokers that this program runs on this machine: all, or the one started with a properties file.
#   bin/kafka-server-stop.sh [config/server.properties]
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-server-stop "$@"
