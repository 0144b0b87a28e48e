package javatext

// StringHash returns the value of Java's String.hashCode, which is computed over UTF-16 units.
// Invalid UTF-8 counts as U+FFFD.
func StringHash(s string) int32 {
	var h int32
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			h = 31*h + 0xd800 + r>>10
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + r
	}
	return h
}

// IntHash returns the value of Java's Integer.hashCode.
func IntHash[T ~int32](n T) int32 { return int32(n) }

// Abs returns the absolute value of n, and 0 for the smallest number, as Kafka's Utils.abs does.
func Abs(n int32) int32 {
	if n == -1<<31 {
		return 0
	}
	return max(n, -n)
}

// PartitionHash returns the hash code of TopicPartition in Kafka's client.
func PartitionHash(topic string, partition int32) int32 { return 31*(31+partition) + StringHash(topic) }
