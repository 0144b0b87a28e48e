#!/bin/sh
# Deletes the records of partitions before an offset.
exec "$(dirname "$(readlink -f "$0")")/../monedula" kafka-delete-records "$@"
