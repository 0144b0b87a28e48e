#!/bin/sh
# Shows and changes the configuration of topics, brokers, clients and users.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-configs "$@"
