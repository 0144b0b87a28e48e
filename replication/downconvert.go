package replication

import (
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// scratchMax is the largest buffer, in bytes, that a fetch keeps for its next down-conversion.
const scratchMax = 1 << 20

// fitVersion converts the response to what a client of the request's version understands: older
// record formats and older error codes.
func (f *Fetch) fitVersion() {
	if f.Version >= 10 {
		return
	}
	for i := range f.Partitions {
		want := &f.Partitions[i]
		if !want.Omitted && want.partition != nil {
			f.fitRecords(want)
		}
		if want.Code == protocol.KafkaStorageError && f.Version <= 5 {
			want.Code = protocol.NotLeaderOrFollower
		}
	}
	if cap(f.scratch) > scratchMax {
		f.scratch = nil
	}
}

// fitRecords converts one partition's records if the log's format is newer than the client's.
// Clients before v10 do not know zstd.
func (f *Fetch) fitRecords(want *PartitionFetch) {
	log := want.partition.Log()
	if log == nil {
		return
	}
	config := log.Config()
	if config.CompressionType == record.Zstd.String() {
		want.bare(protocol.UnsupportedCompressionType)
		return
	}
	magic, needed := downConversion(config.Magic, f.Version)
	if !needed || want.Code != protocol.None {
		return
	}
	if !config.DownConversionEnable && !f.FromFollower() {
		want.bare(protocol.UnsupportedVersion)
		return
	}
	if want.Data.Length == 0 {
		return
	}
	if code := f.convert(want, magic); code != protocol.None {
		want.bare(code)
	}
}

// downConversion returns the record format for a fetch of the given version. needed is false if the
// log's format need not be converted.
func downConversion(logMagic int8, version int16) (magic int8, needed bool) {
	switch {
	case logMagic > 0 && version <= 1:
		return 0, true
	case logMagic > 1 && version <= 3:
		return 1, true
	}
	return 0, false
}

func (f *Fetch) convert(want *PartitionFetch, magic int8) protocol.ErrorCode {
	n := int(want.Data.Length)
	if cap(f.scratch) < n {
		f.scratch = make([]byte, n)
	}
	set := f.scratch[:n]
	if _, err := want.Data.File.ReadAt(set, want.Data.Position); err != nil {
		return protocol.KafkaStorageError
	}
	began := time.Now()
	converted, err := record.DownConvertSized(wholeBatches(set), magic, want.FetchOffset, n)
	if err != nil {
		return protocol.CodeOf(err)
	}
	want.Converted = converted
	f.Conversion.Add(time.Since(began), len(converted))
	return protocol.None
}

// wholeBatches removes an incomplete batch at the end of a set.
func wholeBatches(set []byte) []byte {
	size := 0
	for b := range record.Batches(set) {
		size += len(b)
	}
	return set[:size]
}
