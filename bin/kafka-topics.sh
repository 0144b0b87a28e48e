#!/bin/sh
# Creates, lists, describes, alters and deletes topics.
exec "${0%/*}/../monedula" kafka-topics "$@"
