#!/bin/sh
# Starts Apache ZooKeeper with a properties file.
#   bin/zookeeper-server-start.sh [-daemon] config/zookeeper.properties
# Environment: ZOOKEEPER_HOME, JAVA_HOME, KAFKA_HEAP_OPTS, KAFKA_OPTS, KAFKA_LOG4J_OPTS, LOG_DIR.
set -eu
base=$(dirname "$(dirname "$(readlink -f "$0")")")
usage="USAGE: $0 [-daemon] zookeeper.properties"
daemon=
if [ "${1:-}" = -daemon ]; then daemon=1; shift; fi
case ${1:-} in
  '') echo "$usage" >&2; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  --version) exec "$base/bin/zkCli.sh" --version ;;
esac
[ -e "$1" ] || { echo "$0: the properties file '$1' does not exist" >&2; exit 1; }
classpath=$("$base/scripts/zookeeper-classpath.sh")
# The class path may contain spaces; the variables may contain several options.
set -- -cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain "$@"
# shellcheck disable=SC2086
set -- ${KAFKA_OPTS:-} "$@"
# shellcheck disable=SC2086
if [ -n "${KAFKA_LOG4J_OPTS:-}" ]; then
  set -- $KAFKA_LOG4J_OPTS "$@"
else
  set -- "-Dlog4j.configuration=file:$base/config/zookeeper-log4j.properties" "$@"
fi
# shellcheck disable=SC2086
set -- "${JAVA_HOME:+$JAVA_HOME/bin/}java" ${KAFKA_HEAP_OPTS:--Xmx512M -Xms512M} "$@"
[ -n "$daemon" ] || exec "$@"
logs=${LOG_DIR:-$base/logs}
mkdir -p "$logs"
setsid "$@" >"$logs/zookeeper.out" 2>&1 </dev/null &
