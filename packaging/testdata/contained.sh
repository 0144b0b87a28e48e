#!/bin/sh
# Runs the entry script of an image whose files are in DIRECTORY, as a container engine does: as the
# image's user, with its environment, in its root directory. Run it with
# unshare --mount --pid --fork --kill-child.
#   contained.sh DIRECTORY ZOOKEEPER-PORT BROKER-PORT ENVIRONMENT...
set -eu
root=$1 zookeeper=$2 broker=$3
shift 3
mkdir -p "$root/proc" "$root/dev"
mount -t proc none "$root/proc"
mount -t tmpfs none "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9

chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
fail() { echo "FAILED: $*"; tail -n 30 "$root"/tmp/*.out; exit 1; }
inside() { # ARGUMENTS of the entry script; $variables has the environment. Replaces the shell that runs it.
  # shellcheck disable=SC2086
  exec env -i $variables "$chroot" --userspec=1000:1000 --groups=1000 "$root" /opt/monedula/entrypoint.sh "$@"
}
await() { # FILE WORDS
  for _ in $(seq 600); do
    if grep -q "$2" "$1"; then return; fi
    sleep 0.1
  done
  fail "waited for '$2' in vain"
}
variables="$* HOSTNAME=kafka-7"
printf 'dataDir=/tmp/zookeeper\nclientPort=%s\nclientPortAddress=127.0.0.1\n' "$zookeeper" >"$root/tmp/zookeeper.properties"
inside zookeeper-server-start.sh --embedded /tmp/zookeeper.properties >"$root/tmp/zookeeper.out" 2>&1 &
zookeeper_pid=$!
await "$root/tmp/zookeeper.out" 'binding to port'
variables="$variables KAFKA_ZOOKEEPER_CONNECT=127.0.0.1:$zookeeper KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:$broker KAFKA_PORT=tcp://10.0.0.7:9092 CLUSTER_ID=abc"
inside --override "listeners=PLAINTEXT://127.0.0.1:$broker" >"$root/tmp/broker.out" 2>&1 &
broker_pid=$!
await "$root/tmp/broker.out" 'KafkaServer id=7\] started'
(inside kafka-topics.sh --bootstrap-server "127.0.0.1:$broker" --create --topic contained) >/dev/null
echo hello | inside kafka-console-producer.sh --bootstrap-server "127.0.0.1:$broker" --topic contained
read=$(inside kafka-console-consumer.sh --bootstrap-server "127.0.0.1:$broker" --topic contained --from-beginning --max-messages 1 --timeout-ms 30000 2>/dev/null)
[ "$read" = hello ] || fail "read '$read'"
[ -d "$root/var/lib/kafka/data/contained-0" ] || fail "the data is not in the volume"
kill -TERM $broker_pid # the entry script becomes the broker, so it gets the signal
wait $broker_pid || fail "the broker ended with $?"
kill -TERM $zookeeper_pid
wait $zookeeper_pid || fail "ZooKeeper ended with $?"
echo "ALL GOOD"
