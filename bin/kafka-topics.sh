#!/bin/sh
# Creates, lists, describes, alters and deletes topics.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-topics "$@"
