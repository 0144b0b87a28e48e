#!/usr/bin/env bash
# Prints the Java class path of Apache ZooKeeper with a logging binding, from $ZOOKEEPER_HOME or
# from Debian's packages. If there is none, prints what to install and exits with 1.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
need() {
  echo "ZooKeeper is missing: $1" >&2
  echo "Install it with: sudo apt-get install --no-install-recommends zookeeper" >&2
  echo "or unpack a release of Apache ZooKeeper and set ZOOKEEPER_HOME to its directory." >&2
  exit 1
}
command -v "${JAVA_HOME:+$JAVA_HOME/bin/}java" >/dev/null || need "there is no 'java' to run it."
if [ -n "${ZOOKEEPER_HOME:-}" ]; then
  jars=("$ZOOKEEPER_HOME"/zookeeper-*.jar "$ZOOKEEPER_HOME"/lib/*.jar)
  path=
  [ ! -d "$ZOOKEEPER_HOME/conf" ] || path=:$ZOOKEEPER_HOME/conf # logback.xml of 3.8 and newer
  for jar in "${jars[@]}"; do [ -e "$jar" ] && path=$path:$jar; done
  [[ $path = *.jar* ]] || need "ZOOKEEPER_HOME=$ZOOKEEPER_HOME has no zookeeper jar, nor has its lib directory."
  echo "${path#:}"
  exit 0
fi
debian=/usr/share/java
[ -e $debian/zookeeper.jar ] || need "ZOOKEEPER_HOME is not set and $debian/zookeeper.jar does not exist."
path=
for jar in zookeeper zookeeper-jute slf4j-api slf4j-log4j12 log4j-1.2 commons-cli commons-io jackson-annotations jackson-core \
  jackson-databind metrics-core snappy-java netty-buffer netty-codec netty-common netty-handler netty-resolver netty-transport \
  netty-transport-native-epoll netty-transport-native-unix-common spotbugs-annotations; do
  [ -e "$debian/$jar.jar" ] && path=$path:$debian/$jar.jar
done
echo "${path#:}"
