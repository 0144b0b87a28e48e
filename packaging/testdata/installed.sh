#!/bin/sh
# Installs a Debian package, runs what it installed, and removes it, in a copy-on-write view of this
# machine: an overlay in a mount namespace of its own, which ends with the script. Run it with
# unshare --mount --pid --fork --kill-child.
#   installed.sh PACKAGE DIRECTORY ZOOKEEPER-PORT BROKER-PORT
set -eu
package=$1 directory=$2 zookeeper=$3 broker=$4
if [ -z "${INSIDE:-}" ]; then
  mount -t tmpfs none "$directory"
  mkdir "$directory/changes" "$directory/work" "$directory/root"
  mount -t overlay none -o "lowerdir=/,upperdir=$directory/changes,workdir=$directory/work" "$directory/root"
  mount -t proc none "$directory/root/proc"
  mount --rbind /dev "$directory/root/dev"
  mkdir -p "$directory/root/mnt"
  cp "$package" "$directory/root/mnt/monedula.deb"
  cp "$0" "$directory/root/mnt/installed.sh"
  INSIDE=yes exec chroot "$directory/root" /mnt/installed.sh /mnt/monedula.deb / "$zookeeper" "$broker"
fi

fail() { echo "FAILED: $*"; exit 1; }
check() { # WHAT GOT WANT
  [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"
}
await() { # WHAT COMMAND...
  what=$1
  shift
  for _ in $(seq 600); do
    if "$@" >/mnt/answer 2>&1; then return; fi
    sleep 0.1
  done
  cat /mnt/answer
  tail -n 20 /mnt/*.out || true
  fail "waited for $what in vain"
}
left() { # prints the files of the package that exist
  find / -xdev \( -path /proc -o -path /mnt -o -path /tmp -o -path /root -o -path /work -o -path /var/lib/dpkg \) -prune -o -path '*monedula*' -print 2>/dev/null | sort
}
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /mnt
before=$(left)

dpkg --unpack --force-unsafe-io monedula.deb
dpkg --configure monedula
check "the user's home and shell" "$(getent passwd monedula | cut -d: -f6-7)" "/var/lib/monedula:/usr/sbin/nologin"
check "the owner of the data" "$(stat -c '%U:%G %a' /var/lib/monedula /var/log/monedula)" "monedula:monedula 750
monedula:monedula 750"
check "the owner of programs" "$(find /usr/lib/monedula /usr/bin/kafka-topics.sh ! -user root)" ""
check "the configuration files" "$(dpkg-query -W -f '${Conffiles}\n' monedula | awk '{print $1}' | grep -v '^$' | sort | tr '\n' ' ')" \
  "/etc/default/monedula /etc/logrotate.d/monedula /etc/monedula/consumer.properties /etc/monedula/producer.properties /etc/monedula/server.properties /etc/monedula/zookeeper-log4j.properties /etc/monedula/zookeeper.properties "
check "the data directory" "$(grep '^log.dirs' /etc/monedula/server.properties)" "log.dirs=/var/lib/monedula/data"
check "the version of a tool" "$(kafka-topics.sh --version)" 3.9.1
dpkg --verify monedula >verified && [ ! -s verified ] || fail "changed after installing: $(cat verified)"
if command -v systemd-analyze >/dev/null; then
  complaints=$(systemd-analyze verify /usr/lib/systemd/system/monedula.service /usr/lib/systemd/system/monedula-zookeeper.service 2>&1 | grep -i monedula || true)
  check "what systemd says about the units" "$complaints" ""
fi

# start runs a unit's command as systemd does, as far as it matters: user, environment, limits.
start() { # UNIT
  unit=/usr/lib/systemd/system/$1.service
  command=$(sed -n 's/^ExecStart=//p' "$unit")
  user=$(sed -n 's/^User=//p' "$unit")
  [ -n "$user" ] || fail "$1 has no user"
  # shellcheck disable=SC2046,SC2086
  env -i PATH="$PATH" $(sed -n 's/^Environment=//p' "$unit") \
    setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all \
    sh -c 'ulimit -n 4096; umask 0027; cd /; exec "$@"' sh $command >"/mnt/$1.out" 2>&1 &
}
sed -i "s/^clientPort=.*/clientPort=$zookeeper/; s/^admin.enableServer.*/admin.enableServer=false/" /etc/monedula/zookeeper.properties
sed -i "s/^zookeeper.connect=.*/zookeeper.connect=127.0.0.1:$zookeeper/" /etc/monedula/server.properties
echo "listeners=PLAINTEXT://127.0.0.1:$broker" >>/etc/monedula/server.properties
start monedula-zookeeper
zookeeper_pid=$!
await ZooKeeper grep -q 'binding to port' /mnt/monedula-zookeeper.out
start monedula
broker_pid=$!
await "the broker" grep -q 'started (kafka.server.KafkaServer)' /mnt/monedula.out
kafka-topics.sh --bootstrap-server "127.0.0.1:$broker" --create --topic installed >/dev/null
echo hello | kafka-console-producer.sh --bootstrap-server "127.0.0.1:$broker" --topic installed
check "the record" "$(kafka-console-consumer.sh --bootstrap-server "127.0.0.1:$broker" --topic installed --from-beginning --max-messages 1 --timeout-ms 30000 2>/dev/null)" hello
check "the owner of what was written" "$(stat -c '%U' /var/lib/monedula/data/installed-0 /var/lib/monedula/zookeeper /var/log/monedula/server.log | uniq)" monedula

# An upgrade keeps the changed configuration and stops nothing.
dpkg --unpack --force-unsafe-io monedula.deb </dev/null
dpkg --configure monedula </dev/null
grep -q "^listeners=PLAINTEXT://127.0.0.1:$broker$" /etc/monedula/server.properties || fail "an upgrade overwrote server.properties"
kill -0 $broker_pid || fail "an upgrade stopped the broker"

kill -TERM $broker_pid
wait $broker_pid || fail "the broker ended with $?"
grep -q 'Controlled shutdown request returned successfully' /var/log/monedula/server.log || fail "no controlled shutdown"
kill -TERM $zookeeper_pid
wait $zookeeper_pid || fail "ZooKeeper ended with $?"

dpkg --remove monedula
[ -d /var/lib/monedula/data/installed-0 ] && [ -e /etc/monedula/server.properties ] || fail "removing deleted data or configuration"
[ ! -e /usr/lib/monedula/monedula ] && [ ! -e /usr/bin/kafka-topics.sh ] || fail "removing left programs"
dpkg --purge monedula
check "what is left after purging" "$(left)" "$before"
check "the user after purging" "$(getent passwd monedula || true)$(getent group monedula || true)" ""
if dpkg-query -W monedula >/dev/null 2>&1; then fail "dpkg still knows the package"; fi
echo "ALL GOOD"
