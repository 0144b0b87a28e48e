#!/bin/sh
# Starts a broker with config/server.properties and the settings in the environment, for example KAFKA_BROKER_ID for
# broker.id. In names, _ means a dot, __ an underscore and ___ a dash. The prefix KAFKA_CFG_ is the same as KAFKA_.
#   entrypoint.sh [--override key=value]*     starts the broker
#   entrypoint.sh kafka-topics.sh ARGUMENTS   runs a tool or any other program
# KAFKA_SSL_KEY_PASSWORD_FILE=/run/secrets/key sets ssl.key.password to the content of the file; so it is for all keys.
# Without KAFKA_BROKER_ID, the number at the end of the host name is the broker id, as in kafka-2 of a StatefulSet.
# Without KAFKA_LISTENERS, the broker listens on the ports of KAFKA_ADVERTISED_LISTENERS on all addresses.
# Variables that Kubernetes sets for Services, such as KAFKA_PORT=tcp://10.0.0.7:9092, are ignored. Commands of the
# wurstmeister image run first: BROKER_ID_COMMAND, HOSTNAME_COMMAND (for _{HOSTNAME_COMMAND} in other variables),
# PORT_COMMAND and RACK_COMMAND.
# MONEDULA_SERVER_PROPERTIES is the file to write (default: /tmp/server.properties).
set -eu
home=$(dirname "$(readlink -f "$0")")
[ -d "$home/bin" ] || home=${home%/*}

case ${1:-} in
'' | -*) ;;
*)
  PATH=$home/bin:$PATH exec "$@" ;;
esac

if [ -z "${KAFKA_ZOOKEEPER_CONNECT:-}${KAFKA_CFG_ZOOKEEPER_CONNECT:-}${KAFKA_ZOOKEEPER_CONNECT_FILE:-}" ]; then
  echo "KAFKA_ZOOKEEPER_CONNECT is not set: set it to the ZooKeeper ensemble, such as zookeeper-1:2181,zookeeper-2:2181/chroot" >&2
  exit 1
fi
note() { echo "$1 is ignored: $2" >&2; }
[ -z "${KAFKA_CREATE_TOPICS:-}" ] || note KAFKA_CREATE_TOPICS "create topics with kafka-topics.sh, or use auto.create.topics.enable"
for name in CLUSTER_ID KAFKA_CLUSTER_ID KAFKA_KRAFT_CLUSTER_ID; do
  eval "value=\${$name:-}"
  [ -z "$value" ] || note $name "a cluster with ZooKeeper has the id that its first broker writes to /cluster/id"
done

[ -z "${BROKER_ID_COMMAND:-}" ] || { KAFKA_BROKER_ID=$(sh -c "$BROKER_ID_COMMAND") && export KAFKA_BROKER_ID; }
[ -z "${RACK_COMMAND:-}" ] || { KAFKA_BROKER_RACK=$(sh -c "$RACK_COMMAND") && export KAFKA_BROKER_RACK; }
[ -z "${HOSTNAME_COMMAND:-}" ] || { HOSTNAME_COMMAND=$(sh -c "$HOSTNAME_COMMAND") && export HOSTNAME_COMMAND; }
[ -z "${PORT_COMMAND:-}" ] || { PORT_COMMAND=$(sh -c "$PORT_COMMAND") && export PORT_COMMAND; }
HOSTNAME=${HOSTNAME:-$(uname -n)}
export HOSTNAME

file=${MONEDULA_SERVER_PROPERTIES:-/tmp/server.properties}
: >"$file"
chmod 600 "$file" # it may contain passwords
awk '
  function fail(text) {
    print text > "/dev/stderr"
    failed = 1
    exit 1
  }
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
  # Returns the content of a file without the line breaks at its end.
  function contentOf(path, variable,   line, text, lines, result) {
    while ((result = (getline line < path)) > 0) text = text (lines++ ? "\n" : "") line
    if (result < 0) fail(variable " names " path ", which cannot be read")
    close(path)
    sub(/[\r\n]+$/, "", text)
    return text
  }
  # Replaces text without regard to special characters.
  function replaced(text, what, with,   at, out) {
    while ((at = index(text, what)) > 0) {
      out = out substr(text, 1, at - 1) with
      text = substr(text, at + length(what))
    }
    return out text
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
  # Returns the key that a variable sets.
  function keyOf(name,   key) {
    key = tolower(substr(name, 7))
    sub(/^cfg_/, "", key)
    gsub(/___/, "-", key)
    gsub(/__/, "\001", key)
    gsub(/_/, ".", key)
    gsub(/\001/, "_", key)
    return key
  }
  BEGIN {
    # Variables of known images that are not broker settings.
    n = split("VERSION HOME DEBUG OPTS HEAP_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS LOG4J_OPTS JMX_OPTS JMX_PORT JMX_HOSTNAME " \
      "LOG4J_LOGGERS LOG4J_ROOT_LOGLEVEL TOOLS_LOG4J_LOGLEVEL CREATE_TOPICS CLUSTER_ID KRAFT_CLUSTER_ID ENABLE_KRAFT " \
      "CLIENT_USERS CLIENT_PASSWORDS", names, " ")
    for (i = 1; i <= n; i++) other["KAFKA_" names[i]] = 1
    for (name in ENVIRON) {
      value = ENVIRON[name]
      if (name !~ /^KAFKA_./ || name in other || ofService(name, value)) continue
      if (name ~ /_FILE$/) {
        plain = substr(name, 1, length(name) - 5)
        if (plain in other) continue
        if (plain in ENVIRON) fail(plain " and " name " are both set: set only one of them")
        value = contentOf(value, name)
        name = plain
      }
      value = replaced(value, "_{HOSTNAME_COMMAND}", ENVIRON["HOSTNAME_COMMAND"])
      value = replaced(value, "_{PORT_COMMAND}", ENVIRON["PORT_COMMAND"])
      set[keyOf(name)] = escaped(value)
    }
    if (!("broker.id" in set) && !("node.id" in set) && match(ENVIRON["HOSTNAME"], /-[0-9]+$/) && RLENGTH <= 5) {
      set["broker.id"] = substr(ENVIRON["HOSTNAME"], RSTART + 1) + 0
      print "KAFKA_BROKER_ID is not set: the host name " ENVIRON["HOSTNAME"] " makes this broker " set["broker.id"] > "/dev/stderr"
    }
  }
  {
    key = $0
    sub(/[ \t]*[=:].*/, "", key)
    if (key == "listeners") inFile = 1
    if (!(key in set)) print
  }
  END {
    if (failed) exit 1
    if (("advertised.listeners" in set) && !("listeners" in set) && !inFile)
      set["listeners"] = onAllAddresses(set["advertised.listeners"])
    for (key in set) print key "=" set[key] | "sort"
  }
' "$home/config/server.properties" >"$file"
exec "$home/bin/kafka-server-start.sh" "$file" "$@"
