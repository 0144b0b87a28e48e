#!/usr/bin/env bash
# Fetches the jars of a real Apache Kafka for interoperability tests and prints their directory.
#   scripts/kafka-jars.sh [VERSION]       default: 3.9.1; 1.1.1 has the consumer that uses ZooKeeper
# The jars are cached in $MONEDULA_CACHE (default: ~/.cache/monedula).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
version=${1:-3.9.1}
cache=${MONEDULA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/monedula}
jars=$cache/kafka-$version
if [ ! -e "$jars/.complete" ]; then
  for tool in java mvn; do
    command -v "$tool" >/dev/null || {
      echo "kafka-jars.sh: '$tool' is needed to fetch Apache Kafka $version for the interoperability tests." >&2
      echo "Install it with: sudo apt-get install --no-install-recommends default-jdk-headless maven" >&2
      exit 1
    }
  done
  here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
  mkdir -p "$cache"
  exec 9>"$cache/kafka-$version.lock"
  flock 9
  if [ ! -e "$jars/.complete" ]; then
    rm -rf "$jars.part"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    case $version in
      1.*) pom=classic.xml ;;
      *) pom=pom.xml ;;
    esac
    cp "$here/kafka-peer/$pom" "$work/pom.xml"
    (cd "$work" && mvn -q -B -Dkafka.version="$version" dependency:copy-dependencies -DoutputDirectory="$jars.part" >&2) || {
      echo "kafka-jars.sh: could not fetch Apache Kafka $version with Maven; see the lines above." >&2
      exit 1
    }
    rm -rf "$jars" && mv "$jars.part" "$jars"
    touch "$jars/.complete"
  fi
fi
echo "$jars"
