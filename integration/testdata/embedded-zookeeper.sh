#!/bin/sh
# Stands in for java and for zkServer.sh in the test suites of ZooKeeper's clients: starts the embedded
# server with the properties file that is the last argument, without the keys that it refuses.
# MONEDULA is the source tree. Options -Dzookeeper.KEY=VALUE, also those in $SERVER_JVMFLAGS, become
# keys.
set -eu
for file; do :; done
{
  grep -vE '^(server\.|peerType|secureClientPort|ssl\.|serverCnxnFactory|authProvider)' "$file"
  for option in ${SERVER_JVMFLAGS:-} "$@"; do
    case $option in
      -Dzookeeper.*=*) echo "${option#-Dzookeeper.}" ;;
    esac
  done
} >"$file.embedded"
exec "$MONEDULA/monedula" zookeeper-server-start "$file.embedded"
