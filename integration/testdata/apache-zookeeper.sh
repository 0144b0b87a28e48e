#!/bin/sh
# Stands in for zkServer.sh in the test suite of a ZooKeeper client: starts Apache ZooKeeper with the
# properties file that is the last argument. MONEDULA is the source tree.
set -eu
for file; do :; done
classpath=$("$MONEDULA/scripts/zookeeper-classpath.sh")
# shellcheck disable=SC2086
exec java ${SERVER_JVMFLAGS:-} -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
  "-Dlog4j.configuration=file:$MONEDULA/config/zookeeper-log4j.properties" \
  -cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain "$file"
