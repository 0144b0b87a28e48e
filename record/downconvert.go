package record

import (
	"encoding/binary"
	"math"

	"github.com/monedula/monedula/protocol"
)

// DownConvert converts the batches of set, which must be complete and of magic 0 to 2, to magic 0
// or 1 for an old consumer that fetches from firstOffset. Batches that are old enough are copied
// unchanged. Control batches and empty batches are dropped, and so are the records of an
// uncompressed v2 batch below firstOffset, because some old clients do not skip them. Headers are
// lost. The result may be longer or shorter than set, or empty. A zstd batch is an error that wraps
// protocol.UnsupportedCompressionType. The batches converted before it are returned with the error,
// because Kafka still sends them.
func DownConvert(set []byte, magic int8, firstOffset Offset) ([]byte, error) {
	out, _, err := downConvert(make([]byte, 0, len(set)), set, magic, firstOffset, math.MaxInt)
	return out, err
}

// DownConvertSized is like DownConvert, for a response that may hold size bytes of records. As in
// Kafka, the result has exactly size bytes, or the size of the first converted batch if that is
// larger. Batches that do not fit are cut off and not converted, and missing bytes are filled with
// an incomplete message. If no batch remains, the result is an incomplete message, because an empty
// result would mean the end of the log.
func DownConvertSized(set []byte, magic int8, firstOffset Offset, size int) ([]byte, error) {
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

// downConvert appends converted batches to out until it has size bytes. first is the size of the
// first batch that was not dropped, or 0.
func downConvert(out, set []byte, magic int8, firstOffset Offset, size int) (_ []byte, first int, err error) {
	for b, err := range Batches(set) {
		switch {
		case first > 0 && len(out) >= size:
			return out, first, nil
		case err != nil:
			return out, first, err
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
func downConvertBatch(out []byte, b Batch, magic int8, firstOffset Offset) ([]byte, error) {
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

// AppendOverflow appends size bytes (at least LogOverhead) that an old consumer takes for an
// incomplete message. They fill a response whose size was announced. The header claims at least one
// byte more than there is, and at least the size of a v2 header.
func AppendOverflow(dst []byte, size int) []byte {
	size = max(size, LogOverhead)
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	binary.BigEndian.PutUint64(dst[start:], 1<<64-1) // offset -1
	binary.BigEndian.PutUint32(dst[start+sizeAt:], uint32(max(size+1, HeaderSize)))
	return dst
}
