#!/bin/sh
# After a package was purged, which only Debian does, deletes the data, the logs and the user.
# Directories named in log.dirs elsewhere stay.
set -e
case ${1:-} in
  purge)
    rm -rf /var/lib/monedula /var/log/monedula /etc/monedula
    if getent passwd monedula >/dev/null; then
      userdel monedula
    fi
    if getent group monedula >/dev/null; then
      groupdel monedula
    fi ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
