#!/bin/sh
# Stops every ZooKeeper server on this machine that was started with a properties file, embedded ones
# too.
#   bin/zookeeper-server-stop.sh
case ${1:-} in
  -h | --help) echo "USAGE: $0"; exit 0 ;;
  --version) exec "$(dirname "$(readlink -f "$0")")/zookeeper-server-start.sh" --version ;;
esac
pids=$(ps ax -o pid=,args= | awk '/[j]ava/ && /org\.apache\.zookeeper\.server\.quorum\.QuorumPeerMain/ || /[m]onedula zookeeper-server-start / {print $1}')
if [ -z "$pids" ]; then
  echo "No zookeeper server to stop"
  exit 1
fi
# shellcheck disable=SC2086
kill -s "${SIGNAL:-TERM}" $pids
