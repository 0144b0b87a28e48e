#!/bin/sh
# Deletes records of partitions before an offset.
exec "${0%/*}/../monedula" kafka-delete-records "$@"
