#!/bin/sh
# Starts a broker.
#   bin/kafka-server-start.sh [-daemon] config/server.properties [--override key=value]*
# Environment: LOG_DIR (default: logs beside bin). The variables of the Java scripts (KAFKA_HEAP_OPTS,
# KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_GC_LOG_OPTS, KAFKA_LOG4J_OPTS, JMX_PORT, ...) are accepted and have no effect.
base=$(dirname "$(dirname "$(readlink -f "$0")")")
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] server.properties [--override property=value]*"
  exit 1
fi
LOG_DIR=${LOG_DIR:-$base/logs}
export LOG_DIR
# How late timers may fire, in ns (50000 by default). A thread of the Go runtime looks every 20 us what a busy process
# does; woken less often it saves the broker a tenth to a fifth of its CPU time. Where it cannot be set nothing is lost.
{ echo 1000000 >/proc/$$/timerslack_ns; } 2>/dev/null || true
if [ "$1" = -daemon ]; then
  shift
  mkdir -p "$LOG_DIR"
  setsid "$base/monedula" kafka-server-start "$@" >"$LOG_DIR/kafkaServer.out" 2>&1 </dev/null &
  exit 0
fi
exec "$base/monedula" kafka-server-start "$@"
