#!/bin/sh
# Starts a broker.
#   bin/kafka-server-start.sh [-daemon] config/server.properties [--override key=value]*
# Environment: LOG_DIR (default: the logs directory next to bin). The variables of the Java scripts (KAFKA_HEAP_OPTS,
# KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_GC_LOG_OPTS, KAFKA_LOG4J_OPTS, JMX_PORT, ...) are accepted but have no effect.
base=$(dirname "$(dirname "$(readlink -f "$0")")")
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] server.properties [--override property=value]*"
  exit 1
fi
LOG_DIR=${LOG_DIR:-$base/logs}
export LOG_DIR
# Set the timer slack, the delay in ns by which the kernel may let timers fire late (default:
# 50000). A thread of the Go runtime polls a busy process every 20 us. Waking it less often saves
# the broker a tenth to a fifth of its CPU time. If it cannot be set, nothing else changes.
{ echo 1000000 >/proc/$$/timerslack_ns; } 2>/dev/null || true
if [ "$1" = -daemon ]; then
  shift
  mkdir -p "$LOG_DIR"
  setsid "$base/monedula" kafka-server-start "$@" >"$LOG_DIR/kafkaServer.out" 2>&1 </dev/null &
  exit 0
fi
exec "$base/monedula" kafka-server-start "$@"
