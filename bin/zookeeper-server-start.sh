#!/usr/bin/env bash
# Starts Apache ZooKeeper with a properties file.
#   bin/zookeeper-server-start.sh [-daemon] config/zookeeper.properties
# Environment: ZOOKEEPER_HOME, JAVA_HOME, KAFKA_HEAP_OPTS, KAFKA_OPTS, KAFKA_LOG4J_OPTS, LOG_DIR.
set -euo pipefail
base=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
daemon=
if [ "${1:-}" = -daemon ]; then daemon=1; shift; fi
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] zookeeper.properties" >&2
  exit 1
fi
[ -e "$1" ] || { echo "$0: the properties file '$1' does not exist" >&2; exit 1; }
classpath=$("$base/scripts/zookeeper-classpath.sh")
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
log4j=${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$base/config/zookeeper-log4j.properties}
# shellcheck disable=SC2206
command=("$java" ${KAFKA_HEAP_OPTS:--Xmx512M -Xms512M} $log4j ${KAFKA_OPTS:-} -cp "$classpath"
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$@")
if [ -n "$daemon" ]; then
  logs=${LOG_DIR:-$base/logs}
  mkdir -p "$logs"
  setsid "${command[@]}" >"$logs/zookeeper.out" 2>&1 </dev/null &
  exit 0
fi
exec "${command[@]}"
