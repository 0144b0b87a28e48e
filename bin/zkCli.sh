#!/bin/sh
# Runs ZooKeeper's command-line client. It needs no Java.
#   bin/zkCli.sh [-server host:port[/path]] [command [arguments]]
exec "$(dirname "$(readlink -f "$0")")/../monedula" zkCli "$@"
