#!/usr/bin/env bash
# Installs missing prerequisites for running or testing Monedula.
#   scripts/prerequisites.sh run    ZooKeeper and Java
#   scripts/prerequisites.sh test   also kcat, strace, nftables, zsh, fish, busybox, Maven, Kafka's jars and Python clients
# Debian packages are installed with apt-get, as root or with sudo. If neither is possible, it prints the command
# to run and exits with 1. Jars and Python packages go to $MONEDULA_CACHE (default: ~/.cache/monedula).
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=${MONEDULA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/monedula}
what=${1:-run}
PATH=$PATH:/usr/sbin:/sbin # ip and nft may not be in the PATH of ordinary users

packages=()
want() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || packages+=("$2")
}

case $what in
  run | test) ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

"$here/zookeeper-classpath.sh" >/dev/null 2>&1 || packages+=(zookeeper default-jre-headless)
if [ "$what" = test ]; then
  want javac default-jdk-headless
  want mvn maven
  want kcat kcat
  want strace strace
  want ps procps
  want flock util-linux
  want ip iproute2
  want nft nftables
  want zsh zsh
  want fish fish
  want busybox busybox-static
  want python3 python3
  if command -v python3 >/dev/null; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
  else
    packages+=(python3-venv)
  fi
fi

if [ ${#packages[@]} -gt 0 ]; then
  line="apt-get install -y --no-install-recommends ${packages[*]}"
  if ! command -v apt-get >/dev/null; then
    echo "prerequisites.sh: please install, by this system's own means: ${packages[*]}" >&2
    exit 1
  fi
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    echo "prerequisites.sh: these packages are missing: ${packages[*]}" >&2
    echo "Run this command, then try again:  sudo $line" >&2
    exit 1
  fi
  echo "Installing ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  "${as_root[@]}" $line >/dev/null 2>&1 || { "${as_root[@]}" apt-get update >/dev/null && "${as_root[@]}" $line >/dev/null; } || {
    echo "prerequisites.sh: apt-get could not install them; run this to see why:  sudo $line" >&2
    exit 1
  }
fi

[ "$what" = test ] || exit 0

"$here/kafka-jars.sh" 3.9.1 >/dev/null
"$here/kafka-jars.sh" 3.9.1 streams >/dev/null
"$here/kafka-jars.sh" 2.8.2 >/dev/null
"$here/kafka-jars.sh" 1.1.1 >/dev/null

python_client() { # FOLDER REQUIREMENT...
  local venv=$cache/$1
  shift
  [ -e "$venv/.complete" ] && return
  rm -rf "$venv"
  mkdir -p "$cache"
  python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$@" || {
    echo "prerequisites.sh: could not install $* with pip into $venv; see the lines above." >&2
    exit 1
  }
  touch "$venv/.complete"
}
python_client python-kafka-2.0.2 kafka-python==2.0.2
python_client python-kafka-3.0.12 kafka-python==3.0.12
[ -z "${MONEDULA_TEST_ALL:-}" ] || # with its own tests
  python_client python-kazoo-2.11.0 kazoo==2.11.0 pytest pytest-timeout objgraph pyjks 'pyOpenSSL<26.2'
