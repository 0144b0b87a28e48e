#!/bin/sh
# Runs ZooKeeper's command-line client.
#   bin/zkCli.sh [-server host:port[/path]] [command [arguments]]
set -eu
base=$(dirname "$(dirname "$(readlink -f "$0")")")
case ${1:-} in
  -h | -help | --help) sed -n '2,3s/^# \{0,1\}//p' "$base/bin/zkCli.sh"; exit 0 ;;
esac
classpath=$("$base/scripts/zookeeper-classpath.sh")
if [ "${1:-}" = --version ]; then
  exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -XX:TieredStopAtLevel=1 -cp "$classpath" org.apache.zookeeper.version.VersionInfoMain
fi
# shellcheck disable=SC2086
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" ${KAFKA_HEAP_OPTS:--Xmx256M} -XX:TieredStopAtLevel=1 \
  "-Dlog4j.configuration=file:$base/config/zookeeper-shell-log4j.properties" ${KAFKA_OPTS:-} \
  -cp "$classpath" org.apache.zookeeper.ZooKeeperMain "$@"
