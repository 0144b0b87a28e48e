#!/bin/sh
# Runs the program that replaces a class of Apache Kafka, such as kafka.tools.GetOffsetShell.
#   bin/kafka-run-class.sh [-daemon] [-name SERVICE] [-loggc] CLASS [ARGUMENTS]
# Environment: LOG_DIR (default: the logs directory next to bin), where -daemon writes SERVICE.out.
base=$(dirname "$(dirname "$(readlink -f "$0")")")
usage="USAGE: $0 [-daemon] [-name servicename] [-loggc] classname [opts]"
daemon=
name=kafkaServer
while [ $# -gt 0 ]; do
  case $1 in
    -daemon) daemon=yes ;;
    -name) name=${2:-}; [ $# -eq 1 ] || shift ;;
    -loggc) ;;
    *) break ;;
  esac
  shift
done
class=${1:-}
[ $# -eq 0 ] || shift
case $class in
  '') echo "$usage"; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  kafka.Kafka) set -- "$base/bin/kafka-server-start.sh" "$@" ;;
  org.apache.zookeeper.server.quorum.QuorumPeerMain) set -- "$base/bin/zookeeper-server-start.sh" "$@" ;;
  *) set -- "$base/monedula" run-class "$class" "$@" ;;
esac
[ -n "$daemon" ] || exec "$@"
LOG_DIR=${LOG_DIR:-$base/logs}
export LOG_DIR
mkdir -p "$LOG_DIR"
setsid "$@" >"$LOG_DIR/$name.out" 2>&1 </dev/null &
