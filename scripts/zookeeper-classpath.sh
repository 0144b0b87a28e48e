#!/usr/bin/env bash
# Prints the Java class path of Apache ZooKeeper with a log binding: that of $ZOOKEEPER_HOME, else of
# Debian's packages. Says what to install and exits 1 when there is none.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
need() {
  echo "ZooKeeper is missing: $1" >&2
  echo "Install it with: sudo apt-get install --no-install-recommends zookeeper" >&2
  echo "or unpack a release of Apache ZooKeeper and set ZOOKEEPER_HOME to its folder." >&2
  exit 1
}
command -v "${JAVA_HOME:+$JAVA_HOME/bin/}java" >/dev/null || need "there is no 'java' to run it."
if [ -n "${ZOOKEEPER_HOME:-}" ]; then
  jars=("$ZOOKEEPER_HOME"/zookeeper-*.jar "$ZOOKEEPER_HOME"/lib/*.jar)
  path=
  for jar in "${jars[@]}"; do [ -e "$jar" ] && path=$path:$jar; done
  [ -n "$path" ] || need "ZOOKEEPER_HOME=$ZOOKEEPER_HOME has no zookeeper jar, neither there nor in lib/."
  echo "${path#:}"
  exit 0
fi
debian=/usr/share/java
[ -e $debian/zookeeper.jar ] || need "neither \$ZOOKEEPER_HOME nor $debian/zookeeper.jar is there."
path=
for jar in zookeeper zookeeper-jute slf4j-api slf4j-log4j12 log4j-1.2 commons-cli commons-io jackson-annotations jackson-core \
  jackson-databind metrics-core snappy-java netty-buffer netty-codec netty-common netty-handler netty-resolver netty-transport \
  netty-transport-native-epoll netty-transport-native-unix-common spotbugs-annotations; do
  [ -e "$debian/$jar.jar" ] && path=$path:$debian/$jar.jar
done
echo "${path#:}"
