#!/bin/sh
# Runs ZooKeeper's command-line client with the arguments of Kafka's script.
#   bin/zookeeper-shell.sh host:port[/path] [command [arguments]]
set -eu
zkCli=$(dirname "$(readlink -f "$0")")/zkCli.sh
usage="USAGE: $0 zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]"
case ${1:-} in
  '') echo "$usage" >&2; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  --version) exec "$zkCli" --version ;;
esac
server=$1
shift
exec "$zkCli" -server "$server" "$@"
