#!/bin/sh
# Runs ZooKeeper's command-line client with the arguments of Kafka's script. It needs no Java.
#   bin/zookeeper-shell.sh host:port[/path] [command [arguments]]
usage="USAGE: $0 zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]"
monedula=$(dirname "$(readlink -f "$0")")/../monedula
case ${1:-} in
  '') echo "$usage" >&2; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  --version) exec "$monedula" zookeeper-shell --version ;;
esac
exec "$monedula" zookeeper-shell -server "$@"
