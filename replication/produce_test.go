package replication

import (
	"testing"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func TestProduceChecksRecordsByVersion(t *testing.T) {
	v2 := batch(t, 1)
	v1 := batch(t, 1, func(o *record.Options) { o.Magic = 1 })
	zstd := batch(t, 1, func(o *record.Options) { o.Codec = record.Zstd })
	two := append(append([]byte{}, v2...), v2...)
	badMagic := append([]byte{}, v2...)
	badMagic[record.MagicPosition] = 9
	for _, c := range []struct {
		name    string
		version int16
		set     []byte
		want    protocol.ErrorCode
	}{
		{"one v2 batch", 3, v2, protocol.None},
		{"null", 3, nil, protocol.InvalidRecord},
		{"empty", 3, []byte{}, protocol.InvalidRecord},
		{"cut", 3, v2[:20], protocol.InvalidRecord},
		{"old format", 3, v1, protocol.InvalidRecord},
		{"two batches", 3, two, protocol.InvalidRecord},
		{"a batch and then garbage", 3, append(append([]byte{}, v2...), badMagic...), protocol.CorruptMessage},
		{"unknown magic", 3, badMagic, protocol.CorruptMessage},
		{"a few bytes of garbage", 3, []byte("garbage"), protocol.InvalidRecord},
		{"garbage", 3, []byte("garbage, garbage, garbage, garbage"), protocol.CorruptMessage},
		{"zstd too early", 6, zstd, protocol.UnsupportedCompressionType},
		{"zstd", 7, zstd, protocol.None},
		{"old versions are not checked", 2, two, protocol.None},
		{"old versions, null", 0, nil, protocol.None},
	} {
		wantCode(t, c.name, record.CheckProduce(c.set, c.version), c.want)
	}
}

func TestProduceErrorsInKafkasOrder(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(1, []int32{ourID}, ourID)
	run := func(topic string, partition int32, acks int16, set []byte, change ...func(*Produce)) *PartitionProduce {
		p := b.NewProduce()
		p.Version, p.Acks = 9, acks
		for _, f := range change {
			f(p)
		}
		p.Add(topic, partition, set)
		p.Append()
		return &p.Partitions[0]
	}
	good := func() []byte { return batch(t, 1) }
	for _, c := range []struct {
		name string
		got  *PartitionProduce
		want protocol.ErrorCode
	}{
		{"unknown topic comes before bad records", run("nowhere", 0, 1, nil), protocol.UnknownTopicOrPartition},
		{"unknown partition", run(testTopic, 99, 1, good()), protocol.UnknownTopicOrPartition},
		{"bad records come before bad acks", run(testTopic, 0, 2, nil), protocol.InvalidRecord},
		{"bad acks", run(testTopic, 0, 2, good()), protocol.InvalidRequiredAcks},
		{"led elsewhere", run(testTopic, 1, 1, good()), protocol.NotLeaderOrFollower},
		{"good", run(testTopic, 0, 1, good()), protocol.None},
	} {
		wantCode(t, c.name, c.got.Err, c.want)
		if c.want != protocol.None && (c.got.BaseOffset != -1 || c.got.LogAppendTime != -1) {
			t.Errorf("%s: %+v", c.name, c.got)
		}
	}
	corrupt := good()
	corrupt[len(corrupt)-1] ^= 1
	got := run(testTopic, 0, 1, corrupt)
	wantCode(t, "wrong CRC", got.Err, protocol.CorruptMessage)
	if got.LogStart != -1 {
		t.Errorf("log start %d with CORRUPT_MESSAGE, want -1", got.LogStart)
	}
	control := run(testTopic, 0, 1, batch(t, 1, func(o *record.Options) {
		o.Control, o.Transactional, o.ProducerID, o.ProducerEpoch = true, false, 1, 0
	}))
	wantCode(t, "control batch", control.Err, protocol.InvalidRecord)
	if control.LogStart != 0 {
		t.Errorf("log start %d with INVALID_RECORD, want 0", control.LogStart)
	}
}

func TestOnlyTheAdminClientMayWriteToInternalTopics(t *testing.T) {
	b := alone(t)
	p := b.NewProduce()
	p.Version, p.Acks = 9, 1
	p.Add("__consumer_offsets", 0, batch(t, 1))
	part := &p.Partitions[0]
	p.appendOne(part, b.now())
	wantCode(t, "any client", part.Err, protocol.InvalidTopicException)
	p.InternalAllowed = true
	p.appendOne(part, b.now())
	wantCode(t, "the admin client, but not hosted", part.Err, protocol.UnknownTopicOrPartition)
}

func transactional(producer int64) func(*record.Options) {
	return func(o *record.Options) {
		o.Transactional, o.ProducerID, o.ProducerEpoch, o.BaseSequence = true, producer, 0, 0
	}
}

func TestTwoProducersInOneTransactionalRequest(t *testing.T) {
	b := alone(t)
	b.control(roleOf(1, ourID, 1, []int32{ourID}, ourID))
	p := b.NewProduce()
	p.Version, p.Acks = 9, 1
	p.Add(testTopic, 0, batch(t, 1, transactional(7)))
	p.Add(testTopic, 1, batch(t, 1, transactional(8)))
	p.Append()
	for i := range p.Partitions {
		wantCode(t, "produce", p.Partitions[i].Err, protocol.InvalidProducerIDMapping)
	}
}

func TestIdempotentProducer(t *testing.T) {
	b := alone(t)
	send := func(epoch int16, sequence int32) protocol.ProducePartitionResponse {
		p := b.NewProduce()
		p.Version, p.Acks = 9, -1
		p.Add(testTopic, 0, batch(t, 2, func(o *record.Options) {
			o.ProducerID, o.ProducerEpoch, o.BaseSequence = 5, epoch, sequence
		}))
		p.Append()
		if p.Waits() {
			t.Fatal("the produce waits")
		}
		return p.Partitions[0].Answer()
	}
	for _, c := range []struct {
		name     string
		epoch    int16
		sequence int32
		code     protocol.ErrorCode
		base     int64
	}{
		{"first", 1, 0, protocol.None, 0},
		{"next", 1, 2, protocol.None, 2},
		{"again", 1, 0, protocol.None, 0},
		{"gap", 1, 9, protocol.OutOfOrderSequenceNumber, -1},
		{"old epoch", 0, 4, protocol.InvalidProducerEpoch, -1},
		{"new epoch not at 0", 2, 4, protocol.OutOfOrderSequenceNumber, -1},
		{"new epoch", 2, 0, protocol.None, 4},
	} {
		got := send(c.epoch, c.sequence)
		if got.ErrorCode != c.code || got.BaseOffset != c.base {
			t.Errorf("%s: %s at %d, want %s at %d", c.name, got.ErrorCode, got.BaseOffset, c.code, c.base)
		}
		if got.ErrorMessage != nil {
			t.Errorf("%s: message %q", c.name, *got.ErrorMessage)
		}
	}
}

func TestRecordErrorsNameTheRecords(t *testing.T) {
	b := alone(t)
	c := *b.topicDefaults()
	c.CleanupCompact = true
	b.logs.SetTopicConfig(testTopic, &c)
	p := b.produce(1, 2) // keys are null
	got := p.Partitions[0].Answer()
	if got.ErrorCode != protocol.InvalidRecord || len(got.RecordErrors) != 2 || got.RecordErrors[1].BatchIndex != 1 || got.ErrorMessage == nil || *got.ErrorMessage == "" {
		t.Errorf("%+v", got)
	}
}

func TestOldProducersMessagesAreConverted(t *testing.T) {
	b := alone(t)
	for version, magic := range map[int16]int8{0: 0, 2: 1} {
		p := b.NewProduce()
		p.Version, p.Acks = version, 1
		p.Add(testTopic, 0, batch(t, 2, func(o *record.Options) { o.Magic = magic }))
		p.Append()
		wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
	}
	p := b.NewProduce()
	p.Version, p.Acks = 0, -1
	p.Add(testTopic, 0, nil)
	p.Append()
	if part := &p.Partitions[0]; part.Err != nil || part.BaseOffset != -1 || p.Waits() {
		t.Errorf("null records before v3: %+v", part)
	}
	if f := b.fetch(0); len(offsets(t, &f.Partitions[0])) == 0 {
		t.Error("no records to read")
	}
}
