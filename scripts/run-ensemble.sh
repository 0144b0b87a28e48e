#!/usr/bin/env bash
# Implements `make run-ensemble`: installs missing prerequisites, builds, starts Apache ZooKeeper
# (unless its port is in use) and a broker on localhost:9092, and prints example commands. Ctrl-C
# stops both.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
command -v go >/dev/null || { echo "run-ensemble.sh: Go is missing; install Go 1.26 or newer from its official site or your system's packages." >&2; exit 1; }
scripts/prerequisites.sh run
echo "Building ./monedula"
make -s build
export LOG_DIR=${LOG_DIR:-$PWD/logs}
mkdir -p "$LOG_DIR"
port=2181
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
zookeeper=
broker=
stop() {
  trap - INT TERM EXIT
  echo
  if [ -n "$broker" ] && kill -0 "$broker" 2>/dev/null; then echo "Stopping the broker"; kill "$broker"; wait "$broker" 2>/dev/null || true; fi
  if [ -n "$zookeeper" ] && kill -0 "$zookeeper" 2>/dev/null; then echo "Stopping ZooKeeper"; kill "$zookeeper"; wait "$zookeeper" 2>/dev/null || true; fi
}
trap stop EXIT
trap 'exit 0' INT
trap 'exit 143' TERM
if answers $port; then
  echo "Port $port on localhost is in use; assuming that it is ZooKeeper."
else
  echo "Starting ZooKeeper on localhost:$port (log: $LOG_DIR/zookeeper.out)"
  # Run it in its own session, so that Ctrl-C does not stop it before the broker.
  setsid bin/zookeeper-server-start.sh config/zookeeper.properties >"$LOG_DIR/zookeeper.out" 2>&1 </dev/null &
  zookeeper=$!
  for _ in $(seq 300); do
    answers $port && break
    kill -0 $zookeeper 2>/dev/null || { echo "ZooKeeper did not start; see $LOG_DIR/zookeeper.out" >&2; exit 1; }
    sleep 0.1
  done
fi
echo "Starting a broker on localhost:9092 (log: $LOG_DIR/server.log)"
: >"$LOG_DIR/kafkaServer.out"
setsid bin/kafka-server-start.sh config/server.properties >"$LOG_DIR/kafkaServer.out" 2>&1 </dev/null &
broker=$!
for _ in $(seq 600); do
  grep -q 'started (kafka.server.KafkaServer)' "$LOG_DIR/kafkaServer.out" && break
  kill -0 $broker 2>/dev/null || { tail -n 5 "$LOG_DIR/kafkaServer.out" >&2; exit 1; }
  sleep 0.1
done
cat <<'EOF'

The broker is up. In another terminal:

  bin/kafka-topics.sh --create --topic quickstart --bootstrap-server localhost:9092
  bin/kafka-console-producer.sh --topic quickstart --bootstrap-server localhost:9092
  bin/kafka-console-consumer.sh --topic quickstart --from-beginning --bootstrap-server localhost:9092
  bin/zkCli.sh -server localhost:2181 ls /brokers/ids

Ctrl-C stops the broker and ZooKeeper.
EOF
wait "$broker"
