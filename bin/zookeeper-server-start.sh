#!/bin/sh
# Starts a ZooKeeper server with a properties file: Apache ZooKeeper if $ZOOKEEPER_HOME or Debian's
# package has it, and otherwise, or with --embedded, Monedula's embedded server of one node.
#   bin/zookeeper-server-start.sh [-daemon] [--embedded] config/zookeeper.properties
# Environment: ZOOKEEPER_HOME, JAVA_HOME, KAFKA_HEAP_OPTS, KAFKA_OPTS, KAFKA_LOG4J_OPTS, LOG_DIR.
set -eu
base=$(dirname "$(dirname "$(readlink -f "$0")")")
usage="USAGE: $0 [-daemon] [--embedded] zookeeper.properties"
daemon=
embedded=
while :; do
  case ${1:-} in
    -daemon) daemon=1 ;;
    --embedded) embedded=1 ;;
    *) break ;;
  esac
  shift
done
case ${1:-} in
  '') echo "$usage" >&2; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  --version) ;;
  *) [ -e "$1" ] || { echo "$0: the properties file '$1' does not exist" >&2; exit 1; } ;;
esac
if [ -n "$embedded" ]; then
  :
elif [ -n "${ZOOKEEPER_HOME:-}" ]; then
  classpath=$("$base/scripts/zookeeper-classpath.sh")
elif ! classpath=$("$base/scripts/zookeeper-classpath.sh" 2>/dev/null); then
  embedded=1
fi
if [ -n "$embedded" ]; then
  set -- "$base/monedula" zookeeper-server-start "$@"
elif [ "$1" = --version ]; then
  exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -XX:TieredStopAtLevel=1 -cp "$classpath" org.apache.zookeeper.version.VersionInfoMain
else
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
fi
[ -n "$daemon" ] || exec "$@"
logs=${LOG_DIR:-$base/logs}
mkdir -p "$logs"
setsid "$@" >"$logs/zookeeper.out" 2>&1 </dev/null &
