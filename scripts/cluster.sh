#!/usr/bin/env bash
# Runs a local cluster: ZooKeeper and brokers on this machine.
#   scripts/cluster.sh start N   starts ZooKeeper and N brokers and waits until all are up
#   scripts/cluster.sh stop      shuts down the brokers cleanly, then ZooKeeper; keeps the data
# Broker 0 listens on localhost:9092, broker 1 on 9093, and so on; ZooKeeper on 2181, unless something already listens there.
# Environment: CLUSTER_DIR (data, logs, properties and process ids; default: the data directory next to scripts), BASE_PORT (9092),
# ZK_PORT (2181).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
dir=${CLUSTER_DIR:-$root/data}
base_port=${BASE_PORT:-9092}
zk_port=${ZK_PORT:-2181}

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

runs() { # NAME
  [ -e "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null
}

launch() { # NAME COMMAND...: runs it in the background and records its process id and output
  local name=$1
  shift
  LOG_DIR=$dir/logs-$name setsid "$@" >"$dir/$name.out" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
}

fail() { # NAME: prints why it did not start and exits
  echo "cluster.sh: $1 did not start; from $dir/$1.out:" >&2
  grep -m 3 -A 3 -E " (ERROR|FATAL) " "$dir/$1.out" >&2 || tail -n 5 "$dir/$1.out" >&2
  exit 1
}

start_zookeeper() {
  if answers "$zk_port"; then
    echo "Port $zk_port on localhost is in use; assuming that it is ZooKeeper."
    return
  fi
  printf 'dataDir=%s\nclientPort=%s\nmaxClientCnxns=0\nadmin.enableServer=false\n' "$dir/zookeeper" "$zk_port" >"$dir/zookeeper.properties"
  launch zookeeper "$root/bin/zookeeper-server-start.sh" "$dir/zookeeper.properties"
  for _ in $(seq 300); do
    answers "$zk_port" && return
    runs zookeeper || break
    sleep 0.1
  done
  fail zookeeper
}

# Like the documentation: a copy of server.properties with its own id, listener and log directory.
properties() { # ID COUNT
  local replicas=$(($2 < 3 ? $2 : 3))
  sed -e "s|^broker.id=.*|broker.id=$1|" \
    -e "s|^#listeners=.*|listeners=PLAINTEXT://localhost:$((base_port + $1))|" \
    -e "s|^log.dirs=.*|log.dirs=$dir/kafka-logs-$1|" \
    -e "s|^zookeeper.connect=.*|zookeeper.connect=localhost:$zk_port|" \
    -e "s|^offsets.topic.replication.factor=.*|offsets.topic.replication.factor=$replicas|" \
    -e "s|^transaction.state.log.replication.factor=.*|transaction.state.log.replication.factor=$replicas|" \
    -e "s|^transaction.state.log.min.isr=.*|transaction.state.log.min.isr=$((replicas < 3 ? 1 : 2))|" \
    "$root/config/server.properties" >"$dir/server-$1.properties"
}

start() { # COUNT
  [[ $1 =~ ^[1-9][0-9]?$ ]] || { echo "cluster.sh: the number of brokers must be from 1 to 99, not \"$1\"." >&2; exit 2; }
  for id in $(seq 0 $(($1 - 1))); do
    runs "broker-$id" && { echo "cluster.sh: broker $id runs already; stop it with scripts/cluster.sh stop." >&2; exit 1; }
    answers $((base_port + id)) && { echo "cluster.sh: port $((base_port + id)) on localhost, which broker $id needs, is in use; stop the process or set BASE_PORT." >&2; exit 1; }
  done
  "$root/scripts/prerequisites.sh" run
  make -s -C "$root" build
  mkdir -p "$dir"
  start_zookeeper
  for id in $(seq 0 $(($1 - 1))); do
    properties "$id" "$1"
    launch "broker-$id" "$root/bin/kafka-server-start.sh" "$dir/server-$id.properties"
  done
  for id in $(seq 0 $(($1 - 1))); do
    for _ in $(seq 600); do
      grep -q 'started (kafka.server.KafkaServer)' "$dir/broker-$id.out" && break
      runs "broker-$id" || fail "broker-$id"
      sleep 0.1
    done
    grep -q 'started (kafka.server.KafkaServer)' "$dir/broker-$id.out" || fail "broker-$id"
    echo "Broker $id is up on localhost:$((base_port + id)) (log: $dir/broker-$id.out)"
  done
}

end() { # NAME
  if runs "$1"; then
    local pid
    pid=$(cat "$dir/$1.pid")
    echo "Stopping $1"
    kill "$pid"
    for _ in $(seq 600); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null && echo "cluster.sh: $1 did not stop within a minute and was killed." >&2
  fi
  rm -f "$dir/$1.pid"
}

stop() {
  local file
  for file in "$dir"/broker-*.pid "$dir"/zookeeper.pid; do
    [ ! -e "$file" ] || end "$(basename "$file" .pid)"
  done
}

case "${1:-} $#" in
  "start 2") start "$2" ;;
  "stop 1") stop ;;
  *) usage ;;
esac
