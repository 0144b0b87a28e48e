#!/usr/bin/env bash
# ZooKeeper's own command line client.
#   bin/zkCli.sh [-server host:port[/path]] [command [arguments]]
set -euo pipefail
base=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
classpath=$("$base/scripts/zookeeper-classpath.sh")
# shellcheck disable=SC2086
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" ${KAFKA_HEAP_OPTS:--Xmx256M} -XX:TieredStopAtLevel=1 \
  "-Dlog4j.configuration=file:$base/config/zookeeper-shell-log4j.properties" ${KAFKA_OPTS:-} \
  -cp "$classpath" org.apache.zookeeper.ZooKeeperMain "$@"
