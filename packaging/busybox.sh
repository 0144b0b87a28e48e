#!/bin/sh
# Downloads Debian's package busybox-static for an architecture and prints where it was unpacked.
# apt keeps its state below DIRECTORY, so the machine's own is not changed.
#   busybox.sh ARCHITECTURE DIRECTORY
set -eu
directory=$2/busybox
mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial" "$directory/root"
cd "$directory"
apt() {
  apt-get -qq -o Dir::State="$directory/state" -o Dir::State::status=/dev/null -o Dir::Cache="$directory/cache" \
    -o APT::Architecture="$1" -o APT::Architectures="$1" -o APT::Sandbox::User=root "$2" ${3:+"$3"} >&2
}
apt "$1" update
apt "$1" download busybox-static
dpkg-deb -x busybox-static_*.deb root
echo "$directory/root"
