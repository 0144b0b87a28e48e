package record

import (
	"encoding/binary"
	"math"

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
	out, _, err := downConvert(make([]byte, 0, len(set)), set, magic, firstOffset, math.MaxInt)
	return out, err
}

// DownConvertSized is DownConvert for an answer that may take size bytes of
// records. The result is as large as in Kafka: size, or the first batch after
// conversion where that is larger. What does not fit is cut off and not even
// converted, and what is missing is filled with an incomplete message. If nothing
// remains after conversion, an incomplete message alone stands for it, since no
// records at all would mean the end of the log.
func DownConvertSized(set []byte, magic int8, firstOffset int64, size int) ([]byte, error) {
	out, first, err := downConvert(nil, set, magic, firstOffset, size)
	if err != nil && (first == 0 || protocol.CodeOf(err) != protocol.UnsupportedCompressionType) {
		return nil, err
	}
	if first == 0 {
		return AppendOverflow(nil, LogOverhead), nil
	}
	size = max(size, first)
	if missing := size - len(out); missing > 0 {
		out = AppendOverflow(out, missing)
	}
	return out[:size], nil
}

// downConvert appends converted batches to out until it has size bytes. first is
// the size of the first batch that did not go.
func downConvert(out, set []byte, magic int8, firstOffset int64, size int) (_ []byte, first int, err error) {
	for rest := set; first == 0 || len(out) < size; {
		b, tail, err := Next(rest)
		if err != nil {
			return out, first, err
		}
		if b == nil {
			return out, first, nil
		}
		rest = tail
		switch {
		case b.IsControl() && magic < 2:
			continue
		case b.Codec() == Zstd && magic < 2:
			return out, first, protocol.Errorf(protocol.UnsupportedCompressionType,
				"Down-conversion of zstandard-compressed batches is not supported")
		case b.Magic() <= magic:
			out = append(out, b...)
		default:
			if out, err = downConvertBatch(out, b, magic, firstOffset); err != nil {
				return out, first, err
			}
		}
		if first == 0 {
			first = len(out)
		}
	}
	return out, first, nil
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
