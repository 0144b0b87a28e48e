#!/usr/bin/env bash
# Stops every ZooKeeper server on this machine that was started with a properties file.
#   bin/zookeeper-server-stop.sh
pids=$(ps ax -o pid=,args= | awk '/[j]ava/ && /org\.apache\.zookeeper\.server\.quorum\.QuorumPeerMain/ {print $1}')
if [ -z "$pids" ]; then
  echo "No zookeeper server to stop"
  exit 1
fi
# shellcheck disable=SC2086
kill -s "${SIGNAL:-TERM}" $pids
