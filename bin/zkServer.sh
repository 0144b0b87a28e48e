#!/usr/bin/env bash
# Runs ZooKeeper in the background, under the name that ZooKeeper's documentation uses.
#   bin/zkServer.sh start|start-foreground|status|stop|restart [zookeeper.properties]
# The process id is kept in dataDir/zookeeper_server.pid.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # if called as "sh zkServer.sh"
set -euo pipefail
base=$(dirname "$(dirname "$(readlink -f "$0")")")
config=${2:-${ZOOCFG:-$base/config/zookeeper.properties}}
usage="Usage: $0 {start|start-foreground|stop|restart|status|version} [zookeeper.properties]"
case ${1:-} in
  '') echo "$usage" >&2; exit 1 ;;
  -h | --help) echo "$usage"; exit 0 ;;
  version | --version) exec "$base/bin/zookeeper-server-start.sh" --version ;;
esac
[ -e "$config" ] || { echo "$0: the properties file '$config' does not exist" >&2; exit 1; }
property() { sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$config" | tail -n 1; }
data=$(property dataDir)
port=$(property clientPort)
pid_file=${data:-/tmp/zookeeper}/zookeeper_server.pid
running() { [ -e "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
ask() { # sends a four-letter-word command
  exec 3<>"/dev/tcp/127.0.0.1/${port:-2181}" || return 1
  printf '%s' "$1" >&3
  timeout 3 cat <&3
  exec 3>&- 3<&-
}

echo "Using config: $config" >&2
case $1 in
  start)
    echo -n "Starting zookeeper ... "
    if running; then echo "already running as process $(cat "$pid_file")."; exit 1; fi
    mkdir -p "$(dirname "$pid_file")" "${LOG_DIR:-$base/logs}"
    [ -z "${ZOOKEEPER_HOME:-}" ] || "$base/scripts/zookeeper-classpath.sh" >/dev/null
    setsid "$base/bin/zookeeper-server-start.sh" "$config" >"${LOG_DIR:-$base/logs}/zookeeper.out" 2>&1 </dev/null &
    echo $! >"$pid_file"
    for _ in $(seq 150); do
      if ask srvr 2>/dev/null | grep -q '^Mode:'; then echo STARTED; exit 0; fi
      running || break
      sleep 0.1
    done
    echo "FAILED TO START; see ${LOG_DIR:-$base/logs}/zookeeper.out"
    exit 1 ;;
  start-foreground)
    exec "$base/bin/zookeeper-server-start.sh" "$config" ;;
  status)
    if mode=$(ask srvr 2>/dev/null | grep '^Mode:'); then
      echo "Client port found: ${port:-2181}. Client address: localhost."
      echo "$mode"
    else
      echo "Error contacting service. It is probably not running."
      exit 1
    fi ;;
  stop)
    echo -n "Stopping zookeeper ... "
    if ! running; then echo "no zookeeper to stop (could not find file $pid_file or its process)"; rm -f "$pid_file"; exit 0; fi
    pid=$(cat "$pid_file")
    kill "$pid"
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    rm -f "$pid_file"
    echo STOPPED ;;
  restart)
    "$base/bin/zkServer.sh" stop "$config" || true
    exec "$base/bin/zkServer.sh" start "$config" ;;
  *) echo "$usage" >&2; exit 1 ;;
esac
