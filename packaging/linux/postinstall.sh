#!/bin/sh
# Creates the user and its directories after a package was installed or upgraded. No server is
# started or restarted: a broker needs its configuration first, and a cluster is upgraded broker by
# broker.
set -e
getent group monedula >/dev/null || groupadd --system monedula
getent passwd monedula >/dev/null ||
  useradd --system --gid monedula --home-dir /var/lib/monedula --no-create-home --shell /usr/sbin/nologin --comment "Monedula" monedula
install -d -o monedula -g monedula -m 0750 /var/lib/monedula /var/log/monedula
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
