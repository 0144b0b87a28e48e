package record

// Positions of a v0 or v1 entry.
const (
	legacyCRCAt        = 12
	legacyAttributesAt = 17
	legacyTimestampAt  = 18 // v1
	legacyKeySizeAtV0  = 18
	legacyKeySizeAtV1  = 26
	legacyOverheadV0   = 14 // crc, magic, attributes, key size, value size
	legacyOverheadV1   = 22 // the same and the timestamp
)
