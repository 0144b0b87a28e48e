"""Reads a topic as a member of a group and prints its records until SIGTERM: BOOTSTRAP TOPIC GROUP."""
import signal
import sys

from kafka import KafkaConsumer

bootstrap, topic, group = sys.argv[1:4]
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap.split(","), group_id=group, auto_offset_reset="earliest",
                         auto_commit_interval_ms=500, session_timeout_ms=10000, heartbeat_interval_ms=500, metadata_max_age_ms=2000)
while not stop:
    for records in consumer.poll(timeout_ms=200).values():
        for record in records:
            print(record.value.decode(), flush=True)
consumer.close()
