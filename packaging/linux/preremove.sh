#!/bin/sh
# Stops the servers before a package is removed, but not before it is upgraded. Debian passes
# "remove" or "upgrade", rpm the number of versions that stay installed.
set -e
case ${1:-} in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now monedula.service monedula-zookeeper.service || true
    fi ;;
esac
