package record

import (
	"fmt"
	"sync"
)

// Each calls visit for every record of the batch. It needs the whole batch and decompresses it as a
// stream with a pooled decompressor of bounded size. It stops at the first error of visit and
// returns it. Other errors wrap protocol.InvalidRecord for a batch that cannot be parsed,
// protocol.CorruptMessage for a wrong inner checksum, protocol.UnknownServerError for a payload
// that cannot be decompressed (as Kafka responds), and protocol.MessageTooLarge for a compressed
// record above 100 MiB.
func (b Batch) Each(visit func(*Record) error) error {
	it := openIterator(b, true)
	defer it.close()
	for {
		more, err := it.next()
		if err != nil || !more {
			return err
		}
		if err := visit(&it.rec); err != nil {
			return err
		}
	}
}

// EachTimestamp is like Each for callers that need only the offsets and timestamps of records. It
// skips keys, values and headers, so a compressed batch never needs more memory than the window of
// its codec.
func (b Batch) EachTimestamp(visit func(offset Offset, timestampMs int64) error) error {
	it := openIterator(b, false)
	defer it.close()
	for {
		more, err := it.next()
		if err != nil || !more {
			return err
		}
		if err := visit(it.rec.Offset, it.rec.Timestamp); err != nil {
			return err
		}
	}
}

// iterator iterates over the records of a batch. It is pooled; next fills rec and the fields below
// it without allocating.
type iterator struct {
	stream
	batch  Batch
	magic  int8
	wanted bool // keys, values and headers are needed
	brief  bool // describe records as Kafka does when it skips their content
	opened bool
	err    error

	rec       Record
	keySize   int // -1: null
	valueSize int // -1: null
	headers   []byte

	v2     v2State
	legacy legacyState
}

// v2State holds what the header of a v2 batch specifies about its records, and how many are left.
type v2State struct {
	left          int32 // records not read yet
	baseOffset    Offset
	baseTimestamp int64
	appendTime    int64 // if logAppendTime
	logAppendTime bool
	baseSequence  int32
}

var iterators = sync.Pool{New: func() any { return new(iterator) }}

func openIterator(b Batch, wanted bool) *iterator {
	it := iterators.Get().(*iterator)
	it.batch, it.magic, it.wanted, it.brief, it.opened, it.err = b, b.Magic(), wanted, false, false, nil
	return it
}

func (it *iterator) close() {
	it.stream.close()
	it.batch, it.headers = nil, nil
	clear(it.rec.Headers)
	it.rec = Record{Headers: it.rec.Headers[:0]}
	iterators.Put(it)
}

// next reads the next record. After an error it returns the same error again.
func (it *iterator) next() (more bool, err error) {
	if it.err != nil {
		return false, it.err
	}
	if !it.opened {
		it.opened = true
		it.err = it.open()
		if it.err != nil {
			return false, it.err
		}
	}
	if it.magic < 2 {
		more, it.err = it.nextLegacy()
	} else {
		more, it.err = it.nextV2()
	}
	return more && it.err == nil, it.err
}

func (it *iterator) open() error {
	if it.magic < 2 {
		return it.openLegacy()
	}
	b := it.batch
	it.v2 = v2State{
		left: b.Count(), baseOffset: b.BaseOffset(), baseTimestamp: b.BaseTimestamp(), baseSequence: b.BaseSequence(),
		logAppendTime: b.TimestampType() == LogAppendTime, appendTime: b.MaxTimestamp(),
	}
	if it.v2.left < 0 {
		return invalidRecord("Found invalid record count %d in magic v%d batch", it.v2.left, it.magic)
	}
	payload := b[HeaderSize:]
	if codec := b.Codec(); codec != None {
		if it.v2.left == 0 {
			it.overBytes(nil)
			return nil
		}
		return it.overCompressed(codec, payload, it.magic)
	}
	it.overBytes(payload)
	return nil
}

func (it *iterator) nextV2() (bool, error) {
	if it.v2.left == 0 {
		return false, nil
	}
	it.v2.left--
	if err := it.readV2(); err != nil {
		return false, err
	}
	if it.v2.left == 0 {
		if end, err := it.atEnd(); err != nil {
			return false, err
		} else if !end {
			return false, invalidRecord("Incorrect declared batch size, records still remaining in file")
		}
	}
	return true, nil
}

// readV2 reads one record into it.rec.
func (it *iterator) readV2() error {
	size, next := varintAt(it.data[:it.end], it.pos)
	if next != badPosition {
		it.pos = next
	} else {
		var ok bool
		var err error
		if size, ok, err = it.varint(); err != nil {
			return err
		}
		if !ok && it.unread() >= varintBytesMax {
			return errVarintTooLong
		}
		if !ok {
			return invalidRecord("Incorrect declared batch size, premature EOF reached")
		}
	}
	if size < 0 {
		return badStructure()
	}
	if int(size) > it.unread() {
		if int(size) > len(it.data) && it.source != nil && !it.wanted {
			return it.skipV2(int(size))
		}
		got, err := it.grow(int(size))
		if err != nil {
			return err
		}
		if got < int(size) {
			return invalidRecord("Invalid record size: expected %d bytes in record payload, but there are only %d", size, got)
		}
	}
	body := it.data[it.pos : it.pos+int(size)]
	it.pos += int(size)
	return it.parseV2(body)
}

// parseV2 parses the body of a record, which must end with the last header.
func (it *iterator) parseV2(body []byte) error {
	if len(body) == 0 {
		return badStructure()
	}
	timestampDelta, at := varlongAt(body, 1)
	offsetDelta, at := varintAt(body, at)
	keySize, keyAt := varintAt(body, at)
	at = skipAt(body, keyAt, keySize)
	valueSize, valueAt := varintAt(body, at)
	at = skipAt(body, valueAt, valueSize)
	headersAt := at
	count, at := varintAt(body, at)
	if at == badPosition {
		return badStructure()
	}
	if count < 0 || int(count) > len(body)-at {
		return invalidRecord("Found invalid number of record headers %d", count)
	}
	if it.wanted {
		it.rec.Headers = it.rec.Headers[:0]
	}
	for ; count > 0 && at != badPosition; count-- {
		at = it.parseHeader(body, at)
	}
	if at != len(body) {
		if at == badPosition {
			return badStructure()
		}
		return invalidRecord("Invalid record size: expected to read %d bytes in record payload, but instead read %d", len(body), at)
	}
	it.position(timestampDelta, offsetDelta)
	it.keySize, it.valueSize = max(int(keySize), -1), max(int(valueSize), -1)
	if it.wanted {
		it.rec.Key = sliceAt(body, keyAt, keySize)
		it.rec.Value = sliceAt(body, valueAt, valueSize)
		it.headers = body[headersAt:]
	}
	return nil
}

// parseHeader parses one header and keeps it if headers are needed.
func (it *iterator) parseHeader(body []byte, at int) (next int) {
	keySize, keyAt := varintAt(body, at)
	if keySize < 0 {
		return badPosition
	}
	at = skipAt(body, keyAt, keySize)
	valueSize, valueAt := varintAt(body, at)
	next = skipAt(body, valueAt, valueSize)
	if it.wanted && next != badPosition {
		it.rec.Headers = append(it.rec.Headers, Header{
			Key: sliceAt(body, keyAt, keySize), Value: sliceAt(body, valueAt, valueSize)})
	}
	return next
}

// position computes offset, timestamp and sequence number from the deltas.
func (it *iterator) position(timestampDelta int64, offsetDelta int32) {
	it.rec.Offset = it.v2.baseOffset + Offset(offsetDelta)
	it.rec.Timestamp = it.v2.baseTimestamp + timestampDelta
	if it.v2.logAppendTime {
		it.rec.Timestamp = it.v2.appendTime
	}
	it.rec.Sequence, it.rec.CRC = NoSequence, 0
	if it.v2.baseSequence >= 0 {
		it.rec.Sequence = IncrementSequence(it.v2.baseSequence, offsetDelta)
	}
}

// skipV2 is like parseV2, for a record that is larger than the window and whose content is not
// needed. It reads through the record without keeping it.
func (it *iterator) skipV2(size int) error {
	p := bodyReader{stream: &it.stream, left: size}
	p.skip(1)
	timestampDelta := p.varlong()
	offsetDelta := p.varint()
	keySize := p.varint()
	p.skip(int(keySize))
	valueSize := p.varint()
	p.skip(int(valueSize))
	count := p.varint()
	if p.err == nil && (count < 0 || int(count) > p.left) {
		return invalidRecord("Found invalid number of record headers %d", count)
	}
	for ; count > 0 && p.err == nil; count-- {
		headerKeySize := p.varint()
		if p.err == nil && headerKeySize < 0 {
			return badStructure()
		}
		p.skip(int(headerKeySize))
		p.skip(int(p.varint()))
	}
	if p.err != nil {
		return p.err
	}
	if p.left != 0 {
		return invalidRecord("Invalid record size: expected to read %d bytes in record payload, but instead read %d", size, size-p.left)
	}
	it.position(timestampDelta, offsetDelta)
	it.keySize, it.valueSize = max(int(keySize), -1), max(int(valueSize), -1)
	return nil
}

// bodyReader reads through the body of one record. After an error it does nothing.
type bodyReader struct {
	*stream
	left int // unread bytes of the body
	err  error
}

func (p *bodyReader) skip(n int) {
	if p.err != nil || n <= 0 {
		return
	}
	if n > p.left {
		p.err = badStructure()
		return
	}
	p.left -= n
	ok, err := p.stream.discard(n, nil)
	if err == nil && !ok {
		err = badStructure()
	}
	p.err = err
}

func (p *bodyReader) varint() int32 {
	v := p.varlongOf(5)
	return int32(v)
}

func (p *bodyReader) varlong() int64 { return p.varlongOf(10) }

// varlongOf reads a zig-zag varint of at most most bytes.
func (p *bodyReader) varlongOf(most int) int64 {
	if p.err != nil {
		return 0
	}
	got, err := p.stream.fill(most)
	if err != nil {
		p.err = err
		return 0
	}
	got = min(got, most, p.left)
	b := p.data[p.pos : p.pos+got]
	var v int64
	var next int
	if most == 5 {
		var short int32
		short, next = varintAt(b, 0)
		v = int64(short)
	} else {
		v, next = varlongAt(b, 0)
	}
	if next == badPosition {
		p.err = badStructure()
		return 0
	}
	p.pos += next
	p.left -= next
	return v
}

// describe returns the current record as Kafka's messages show it.
func (it *iterator) describe() string {
	if it.magic < 2 {
		return it.describeLegacy()
	}
	name, keySize, valueSize := "DefaultRecord", max(it.keySize, 0), max(it.valueSize, 0)
	if it.brief {
		name, keySize, valueSize = "PartialDefaultRecord", it.keySize, it.valueSize
	}
	return fmt.Sprintf("%s(offset=%d, timestamp=%d, key=%d bytes, value=%d bytes)",
		name, it.rec.Offset, it.rec.Timestamp, keySize, valueSize)
}

func sliceAt(b []byte, at int, n int32) []byte {
	if n < 0 {
		return nil
	}
	return b[at : at+int(n) : at+int(n)]
}

func badStructure() error { return invalidRecord("Found invalid record structure") }
