#!/bin/sh
# Starts a broker with config/server.properties and the settings in the environment, for example KAFKA_BROKER_ID for
# broker.id. In names, _ means a dot, __ an underscore and ___ a dash. The prefix KAFKA_CFG_ is the same as KAFKA_.
#   entrypoint.sh [--override key=value]*     starts the broker
#   entrypoint.sh kafka-topics.sh ARGUMENTS   runs a tool or any other program
# Variables that Kubernetes sets for Services, such as KAFKA_PORT=tcp://10.0.0.7:9092, are ignored. Without KAFKA_LISTENERS,
# the broker listens on the ports of KAFKA_ADVERTISED_LISTENERS on all addresses.
# MONEDULA_SERVER_PROPERTIES is the file to write (default: /tmp/server.properties).
set -eu
home=$(dirname "$(readlink -f "$0")")
[ -d "$home/bin" ] || home=${home%/*}

case ${1:-} in
'' | -*) ;;
*)
  PATH=$home/bin:$PATH exec "$@" ;;
esac

if [ -z "${KAFKA_ZOOKEEPER_CONNECT:-}${KAFKA_CFG_ZOOKEEPER_CONNECT:-}" ]; then
  echo "KAFKA_ZOOKEEPER_CONNECT is not set: set it to the ZooKeeper ensemble, such as zookeeper-1:2181,zookeeper-2:2181/chroot" >&2
  exit 1
fi
if [ -n "${KAFKA_CREATE_TOPICS:-}" ]; then
  echo "KAFKA_CREATE_TOPICS is ignored: create topics with kafka-topics.sh, or use auto.create.topics.enable" >&2
fi

file=${MONEDULA_SERVER_PROPERTIES:-/tmp/server.properties}
awk '
  # Escapes a value for a properties file.
  function escaped(text,   i, c, out) {
    for (i = 1; i <= length(text); i++) {
      c = substr(text, i, 1)
      if (c == "\\" || (i == 1 && c == " ")) c = "\\" c
      else if (c == "\n") c = "\\n"
      else if (c == "\r") c = "\\r"
      else if (c == "\t") c = "\\t"
      out = out c
    }
    return out
  }
  # Reports whether Kubernetes set a variable for a Service named kafka or kafka-something.
  function ofService(name, value) {
    return name ~ /_SERVICE_(HOST|PORT|PORT_.*)$/ || name ~ /_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/ ||
      (name ~ /_PORT$/ && value ~ /^(tcp|udp|sctp):\/\//)
  }
  # Returns listeners on all addresses with the names and ports of the advertised listeners.
  function onAllAddresses(advertised,   i, n, one, out) {
    n = split(advertised, one, ",")
    for (i = 1; i <= n; i++) {
      sub(/:\/\/.*:/, "://0.0.0.0:", one[i])
      out = out (i > 1 ? "," : "") one[i]
    }
    return out
  }
  BEGIN {
    # Variables of known images that are not broker settings.
    n = split("VERSION HOME DEBUG OPTS HEAP_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS LOG4J_OPTS JMX_OPTS JMX_PORT JMX_HOSTNAME " \
      "LOG4J_LOGGERS LOG4J_ROOT_LOGLEVEL TOOLS_LOG4J_LOGLEVEL CREATE_TOPICS", names, " ")
    for (i = 1; i <= n; i++) other["KAFKA_" names[i]] = 1
    for (name in ENVIRON) {
      if (name !~ /^KAFKA_./ || name in other || ofService(name, ENVIRON[name])) continue
      key = tolower(substr(name, 7))
      sub(/^cfg_/, "", key)
      gsub(/___/, "-", key)
      gsub(/__/, "\001", key)
      gsub(/_/, ".", key)
      gsub(/\001/, "_", key)
      set[key] = escaped(ENVIRON[name])
    }
  }
  {
    key = $0
    sub(/[ \t]*[=:].*/, "", key)
    if (key == "listeners") inFile = 1
    if (!(key in set)) print
  }
  END {
    if (("advertised.listeners" in set) && !("listeners" in set) && !inFile)
      set["listeners"] = onAllAddresses(set["advertised.listeners"])
    for (key in set) print key "=" set[key] | "sort"
  }
' "$home/config/server.properties" >"$file"
exec "$home/bin/kafka-server-start.sh" "$file" "$@"
