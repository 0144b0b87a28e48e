#!/usr/bin/env bash
# ZooKeeper's command line client as Kafka's scripts call it.
#   bin/zookeeper-shell.sh host:port[/path] [command [arguments]]
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "USAGE: $0 zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]" >&2
  exit 1
fi
server=$1
shift
exec "$(dirname "${BASH_SOURCE[0]}")/zkCli.sh" -server "$server" "$@"
