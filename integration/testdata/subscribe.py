"""Reads N records of a topic as a member of a group and commits their offsets.

subscribe.py BOOTSTRAP TOPIC GROUP N [API_VERSION]
"""
import sys

from kafka import KafkaConsumer

bootstrap, topic, group, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
options = {}
if len(sys.argv) > 5:
    options["api_version"] = tuple(int(n) for n in sys.argv[5].split("."))
consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                         enable_auto_commit=False, consumer_timeout_ms=20000, **options)
consumer.subscribe([topic])
seen = set()
for record in consumer:
    seen.add((record.partition, record.offset))
    if len(seen) == count:
        break
consumer.commit()
consumer.close()
print("ok", len(seen))
