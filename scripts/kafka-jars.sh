#!/usr/bin/env bash
# Fetches the jars of a real Apache Kafka for interoperability tests and prints their directory.
#   scripts/kafka-jars.sh [VERSION [MORE]]   default: 3.9.1; 1.1.1 has the consumer that uses ZooKeeper
# MORE is streams (Kafka Streams) or connect (the file connectors and MirrorMaker 2): jars to use in
# addition to those of the same version. Or it is flink (Apache Flink), spring (Spring for Apache
# Kafka), zookeeper (Apache ZooKeeper) or curator (Apache Curator), and VERSION its version: all jars of
# that system, with clients of its own, without a broker.
# The jars are cached in $MONEDULA_CACHE (default: ~/.cache/monedula).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
version=${1:-3.9.1}
case ${2:-} in
  '' | streams | connect) what="Apache Kafka $version${2:+ ($2)}" ;;
  flink) what="Apache Flink $version" ;;
  spring) what="Spring for Apache Kafka $version" ;;
  zookeeper) what="Apache ZooKeeper $version" ;;
  curator) what="Apache Curator $version" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
cache=${MONEDULA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/monedula}
jars=$cache/kafka-${2:+$2-}$version
if [ ! -e "$jars/.complete" ]; then
  for tool in java mvn; do
    command -v "$tool" >/dev/null || {
      echo "kafka-jars.sh: '$tool' is needed to fetch $what for the interoperability tests." >&2
      echo "Install it with: sudo apt-get install --no-install-recommends default-jdk-headless maven" >&2
      exit 1
    }
  done
  here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
  mkdir -p "$cache"
  exec 9>"$jars.lock"
  flock 9
  if [ ! -e "$jars/.complete" ]; then
    rm -rf "$jars.part"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    case ${2:-$version} in
      streams | connect | flink | spring | zookeeper | curator) pom=$2.xml ;;
      1.*) pom=classic.xml ;;
      *) pom=pom.xml ;;
    esac
    cp "$here/kafka-peer/$pom" "$work/pom.xml"
    (cd "$work" && mvn -q -B -Drelease="$version" dependency:copy-dependencies -DoutputDirectory="$jars.part" >&2) || {
      echo "kafka-jars.sh: could not fetch $what with Maven; see the lines above." >&2
      exit 1
    }
    rm -rf "$jars" && mv "$jars.part" "$jars"
    touch "$jars/.complete"
  fi
fi
echo "$jars"
