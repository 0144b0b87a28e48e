#!/usr/bin/env bash
# Runs in its own process namespace, so "all brokers" are those started here.
#   stop_brokers.sh ROOT WORK JARS: WORK holds a.properties and b.properties for our brokers, real.properties for a real one
# Prints the effect of each stop; the test compares the output.
set -u
root=$1 work=$2 jars=$3
cd "$work"

await() { # FILE: waits up to a minute until the broker that writes FILE has started
  for _ in $(seq 1200); do grep -q 'started (kafka.server.KafkaServer)' "$1" 2>/dev/null && return; sleep 0.05; done
  echo "the broker did not start:"; cat "$1"; exit 1
}
pid_of() { # WORDS: the pid of our broker whose command line contains WORDS
  ps ax -o pid=,args= | awk -v words="$1" 'index($0, "monedula kafka-server-start") && index($0, words) && !/awk/ {print $1}'
}
state() { # PID
  case "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" in '' | Z) echo gone ;; *) echo runs ;; esac
}
await_gone() { # PID
  for _ in $(seq 1200); do [ "$(state "$1")" = gone ] && return; sleep 0.05; done
}
stop() {
  "$root/bin/kafka-server-stop.sh" "$@"
  echo "exit $?"
}

java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$jars/*" -Dlog4j.configuration="file:$work/log4j.properties" kafka.Kafka real.properties >real.out 2>&1 &
real=$!
(exec -a monedula sleep 1000) &
decoy=$!
touch kafka-server-start
tail -f kafka-server-start >/dev/null &
reader=$!
LOG_DIR=$work/a-logs "$root/bin/kafka-server-start.sh" -daemon "$work/a.properties"
echo "daemon exit $?"
LOG_DIR=$work/b-logs "$root/bin/kafka-server-start.sh" -daemon b.properties --override num.partitions=3
echo "daemon exit $?"
await a-logs/kafkaServer.out
await b-logs/kafkaServer.out
await real.out
a=$(pid_of a.properties) b=$(pid_of b.properties)

stop "$work/b.properties"
await_gone "$b"
echo "after stopping b: a $(state "$a"), b $(state "$b"), real $(state $real), decoy $(state $decoy), reader $(state $reader)"
stop "$work/b.properties"
stop
await_gone "$a"
echo "after stopping all: a $(state "$a"), real $(state $real), decoy $(state $decoy), reader $(state $reader)"
stop
grep -c 'shut down completed (kafka.server.KafkaServer)' a-logs/kafkaServer.out b-logs/kafkaServer.out
