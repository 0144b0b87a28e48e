"""Produces and reads with kafka-python: BROKER TOPIC CODEC COUNT [API_VERSION]. Reads partition 0 without a group."""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

broker, topic, codec, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
options = {"bootstrap_servers": broker}
if len(sys.argv) > 5:
    options["api_version"] = tuple(int(n) for n in sys.argv[5].split("."))
producer = KafkaProducer(compression_type=None if codec == "none" else codec, acks="all", **options)
for i in range(count):
    producer.send(topic, key=b"k%d" % i, value=b"value %d" % i, partition=0).get(timeout=20)
producer.flush()
producer.close()

consumer = KafkaConsumer(consumer_timeout_ms=20000, auto_offset_reset="earliest", group_id=None, **options)
partition = TopicPartition(topic, 0)
consumer.assign([partition])
consumer.seek_to_beginning(partition)
seen = []
for record in consumer:
    seen.append((record.offset, record.key, record.value))
    if len(seen) == count:
        break
expected = [(i, b"k%d" % i, b"value %d" % i) for i in range(count)]
if seen != expected:
    sys.exit("read %r, expected %r" % (seen, expected))
end = consumer.end_offsets([partition])[partition]
if end != count:
    sys.exit("end offset %d, expected %d" % (end, count))
consumer.close()
print("ok", count)
