package record

import (
	"encoding/binary"

	"github.com/monedula/monedula/protocol"
)

// DownConvert rewrites the batches of set (whole, v0-v2) to magic 0 or 1 for an
// old consumer that asked from firstOffset. Batches that are old enough stay as
// they are; control batches and empty ones go; of an uncompressed v2 batch the
// records below firstOffset go, since some old clients do not pass over them;
// headers are lost. The result may be longer or shorter than set, or empty. A
// zstd batch is an error that wraps protocol.UnsupportedCompressionType; what
// was converted before it is returned with the error, since Kafka still sends
// that.
func DownConvert(set []byte, magic int8, firstOffset int64) ([]byte, error) {
	out := make([]byte, 0, len(set))
	for rest := set; ; {
		b, tail, err := Next(rest)
		if err != nil {
			return out, err
		}
		if b == nil {
			return out, nil
		}
		rest = tail
		switch {
		case b.IsControl() && magic < 2:
			continue
		case b.Codec() == Zstd && magic < 2:
			return out, protocol.Errorf(protocol.UnsupportedCompressionType,
				"Down-conversion of zstandard-compressed batches is not supported")
		case b.Magic() <= magic:
			out = append(out, b...)
			continue
		}
		if out, err = downConvertBatch(out, b, magic, firstOffset); err != nil {
			return out, err
		}
	}
}

// downConvertBatch appends one converted batch to out.
func downConvertBatch(out []byte, b Batch, magic int8, firstOffset int64) ([]byte, error) {
	o := Defaults()
	o.Magic, o.Codec, o.TimestampType = magic, b.Codec(), b.TimestampType()
	if o.TimestampType == LogAppendTime {
		o.LogAppendTime = b.MaxTimestamp()
	}
	var builder *Builder
	err := b.Each(func(r *Record) error {
		if o.Codec == None && r.Offset < firstOffset {
			return nil
		}
		if builder == nil {
			o.BaseOffset = r.Offset
			builder = newBuilder(out, o)
		}
		return builder.AppendAt(r.Offset, r.Timestamp, r.Key, r.Value)
	})
	if builder == nil {
		return out, err
	}
	if err != nil {
		builder.discard()
		return out, err
	}
	return builder.Build()
}

// AppendOverflow appends size bytes (at least LogOverhead) that an old consumer
// takes for an incomplete message, to fill what an answer promised: the header
// claims one byte more than there is, and at least that of a whole batch.
func AppendOverflow(dst []byte, size int) []byte {
	size = max(size, LogOverhead)
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	binary.BigEndian.PutUint64(dst[start:], 1<<64-1) // offset -1
	binary.BigEndian.PutUint32(dst[start+sizeAt:], uint32(max(size+1, HeaderSize)))
	return dst
}
