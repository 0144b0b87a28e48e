package tools

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/monedula/monedula/record"
)

var dumpLogTool = Tool{
	Name:    "kafka-dump-log",
	Summary: "Prints the contents of segment and index files.",
	Run:     runDumpLog,
}

// dump is one run of the tool.
type dump struct {
	*options
	out            *bufio.Writer
	printData      bool
	deep           bool
	verifyOnly     bool
	sanityOnly     bool
	skipMetadata   bool
	maxMessageSize int64
	maxBytes       int64
	decode         recordDecoder

	// Findings are printed to stderr after all files, each kind in the order found.
	mismatches     findings // index files: index offset, log offset
	nonConsecutive findings // log files: offset, next offset
	timeMismatches findings // time indexes: index timestamp, log timestamp
	outOfOrder     findings // time indexes: timestamp, previous timestamp
	notFound       findings // time indexes: indexed offset, log offset
}

const maxInt32 = 1<<31 - 1

func runDumpLog(env *Env, args []string) int {
	o := newOptions(env, "kafka-dump-log", "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.")
	files := o.value("files", "String: file1, file2, ...", "REQUIRED: The files to dump, separated by commas. Supported are .log, .index, .timeindex, .txnindex and .snapshot.")
	printData := o.toggle("print-data-log", "Print the keys and values of records. Implied by the decoder options.")
	deep := o.toggle("deep-iteration", "Print the records of each batch. Implied by --print-data-log.")
	verify := o.toggle("verify-index-only", "Check an index against its log without printing it.")
	sanity := o.toggle("index-sanity-check", "Only run the sanity check that the broker runs on indexes at startup.")
	messageSize := o.value("max-message-size", "Integer: size", "The size in bytes of the largest batch that an index may point to. (default: 5242880)")
	maxBytes := o.value("max-bytes", "Integer: size", "Read at most N bytes of a log. (default: 2147483647)")
	offsets := o.toggle("offsets-decoder", "Decode records as those of __consumer_offsets.")
	transactions := o.toggle("transaction-log-decoder", "Decode records as those of __transaction_state.")
	metadata := o.toggle("cluster-metadata-decoder", "Accepted, but records of KRaft's metadata log are printed as text.")
	remote := o.toggle("remote-log-metadata-decoder", "Accepted, but records of tiered storage are printed as text.")
	skip := o.toggle("skip-record-metadata", "Print only the keys and values of records, without their metadata.")
	keyDecoder := o.maybeValue("key-decoder-class", "String", "The Java class that decodes keys. (default: org.apache.kafka.tools.api.StringDecoder)")
	valueDecoder := o.maybeValue("value-decoder-class", "String", "The Java class that decodes values. (default: org.apache.kafka.tools.api.StringDecoder)")
	if len(args) == 0 {
		env.complainf("%s", o.summary)
		o.printUsage(env.Stderr)
		return 1
	}
	if err := o.parse(args); err != nil {
		return o.failUncaught(err)
	}
	if err := o.require(files); err != nil {
		return o.fail(err)
	}
	d := &dump{options: o, out: bufio.NewWriterSize(env.Stdout, 64<<10), verifyOnly: verify.given(), sanityOnly: sanity.given(), skipMetadata: skip.given()}
	decoders := offsets.given() || transactions.given() || metadata.given() || remote.given() || keyDecoder.given() || valueDecoder.given()
	d.printData = printData.given() || decoders
	d.deep = deep.given() || d.printData
	var err error
	if d.maxMessageSize, err = o.number(messageSize, 5<<20); err != nil {
		return o.fail(usageError{err.Error()})
	}
	if d.maxBytes, err = o.number(maxBytes, maxInt32); err != nil {
		return o.fail(usageError{err.Error()})
	}
	switch {
	case offsets.given():
		d.decode = decodeOffsets
	case transactions.given():
		d.decode = decodeTransaction
	default:
		if d.decode, err = decodeWith(keyDecoder.or(""), valueDecoder.or("")); err != nil {
			return o.fail(err)
		}
	}
	for _, file := range strings.Split(files.or(""), ",") {
		if unread(d.out) {
			return 0
		}
		if err := d.dumpFile(file); err != nil && !unread(d.out) {
			d.out.Flush()
			env.complainf("Exception in thread \"main\" %s", exception(javaClass(err), err.Error()))
			return 1
		}
	}
	d.out.Flush()
	d.printFindings()
	return 0
}

func (d *dump) dumpFile(file string) error {
	fmt.Fprintf(d.out, "Dumping %s\n", file)
	switch filepath.Ext(file) {
	case ".log":
		return d.dumpSegment(file)
	case ".index":
		return d.dumpOffsetIndex(file)
	case ".timeindex":
		return d.dumpTimeIndex(file)
	case ".snapshot":
		return d.dumpSnapshot(file)
	case ".txnindex":
		return d.dumpTxnIndex(file)
	default:
		d.out.Flush()
		d.env.complainf("Ignoring unknown file %s", file)
		return nil
	}
}

// baseOffset returns the offset in the name of a segment file.
func baseOffset(file string) (int64, error) {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, javaError{"java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", name)}
	}
	return n, nil
}

// batchScanner reads the batches of a segment file in order.
type batchScanner struct {
	file     *os.File
	position int64 // position of the next batch
	end      int64 // no batch that extends beyond end is read
	buf      []byte
}

// next returns the batch at the current position, or io.EOF if no complete batch follows.
func (s *batchScanner) next() (record.Batch, error) {
	var head [record.MinHeaderPeek]byte
	if s.end-s.position < int64(len(head)) {
		return nil, io.EOF
	}
	if _, err := s.file.ReadAt(head[:], s.position); err != nil {
		return nil, err
	}
	size, _, err := record.EntrySize(head[:])
	if err != nil {
		return nil, err
	}
	if s.position+int64(size) > s.end {
		return nil, io.EOF
	}
	if cap(s.buf) < size {
		s.buf = make([]byte, size)
	}
	s.buf = s.buf[:size]
	if _, err := s.file.ReadAt(s.buf, s.position); err != nil {
		return nil, err
	}
	s.position += int64(size)
	return record.Batch(s.buf), nil
}

func openScanner(file string, position, length int64) (*batchScanner, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, javaError{"java.nio.file.NoSuchFileException", file}
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	end := info.Size()
	if length < end-position {
		end = position + length
	}
	return &batchScanner{file: f, position: position, end: end}, nil
}

func (d *dump) dumpSegment(file string) error {
	base, err := baseOffset(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Log starting offset: %d\n", base)
	s, err := openScanner(file, 0, d.maxBytes)
	if err != nil {
		return err
	}
	defer s.file.Close()
	lastOffset := int64(-1)
	for !unread(d.out) {
		position := s.position
		batch, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		d.printBatch(batch, position)
		if !d.deep {
			continue
		}
		err = batch.Each(func(r *record.Record) error {
			if lastOffset != -1 && r.Offset != lastOffset+1 {
				d.nonConsecutive.add(absolute(file), lastOffset, r.Offset)
			}
			lastOffset = r.Offset
			return d.printRecord(batch, r)
		})
		if err != nil {
			return err
		}
	}
	if trailing := s.end - s.position; trailing > 0 && d.maxBytes == maxInt32 {
		fmt.Fprintf(d.out, "Found %d invalid bytes at the end of %s\n", trailing, filepath.Base(file))
	}
	return nil
}

func absolute(file string) string {
	path, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	return path
}

func (d *dump) printBatch(b record.Batch, position int64) {
	if b.Magic() >= 2 {
		horizon := "OptionalLong.empty"
		if ms, ok := b.DeleteHorizonMs(); ok {
			horizon = fmt.Sprintf("OptionalLong[%d]", ms)
		}
		fmt.Fprintf(d.out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s",
			b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(),
			b.PartitionLeaderEpoch(), b.IsTransactional(), b.IsControl(), horizon)
	} else {
		fmt.Fprintf(d.out, "offset: %d", b.LastOffset())
	}
	fmt.Fprintf(d.out, " position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n",
		position, b.TimestampType(), b.MaxTimestamp(), b.Size(), b.Magic(), b.Codec(), b.CRC(), b.Validate() == nil)
}

func (d *dump) printRecord(b record.Batch, r *record.Record) error {
	prefix := "| "
	if !d.skipMetadata {
		fmt.Fprintf(d.out, "%soffset: %d %s: %d keySize: %d valueSize: %d", prefix, r.Offset, b.TimestampType(), r.Timestamp, sizeOf(r.Key), sizeOf(r.Value))
		prefix = " "
		if b.Magic() >= 2 {
			keys := make([]string, len(r.Headers))
			for i, h := range r.Headers {
				keys[i] = string(h.Key)
			}
			fmt.Fprintf(d.out, " sequence: %d headerKeys: [%s]", r.Sequence, strings.Join(keys, ","))
		} else {
			fmt.Fprintf(d.out, " isValid: true crc: %d}", r.CRC)
		}
		if b.IsControl() {
			if err := d.printControl(r); err != nil {
				return err
			}
		}
	}
	if d.printData && !b.IsControl() {
		key, value := d.decode(r)
		if key != nil {
			fmt.Fprintf(d.out, "%skey: %s", prefix, *key)
		}
		if value != nil {
			fmt.Fprintf(d.out, " payload: %s", *value)
		}
	}
	_, err := d.out.WriteString("\n")
	return err
}

func (d *dump) printControl(r *record.Record) error {
	kind, err := record.ParseControlKey(r.Key)
	if err != nil {
		return err
	}
	switch kind {
	case record.Abort, record.Commit:
		epoch, err := record.ParseEndTxnMarker(r.Value)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, " endTxnMarker: %s coordinatorEpoch: %d", kind, epoch)
	default:
		fmt.Fprintf(d.out, " controlType: %s(%d)", kind, int16(kind))
	}
	return nil
}

func sizeOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// findings are pairs of numbers per file, in the order found.
type findings struct {
	files []string
	pairs map[string][][2]int64
}

func (f *findings) add(file string, a, b int64) {
	if f.pairs == nil {
		f.pairs = map[string][][2]int64{}
	}
	if _, seen := f.pairs[file]; !seen {
		f.files = append(f.files, file)
	}
	f.pairs[file] = append(f.pairs[file], [2]int64{a, b})
}

// print prints a header for each file and a line for each pair. newestFirst reverses the order of
// the pairs, for those that Kafka's tool collects in reverse.
func (f *findings) print(env *Env, head, line string, newestFirst bool) {
	for _, file := range f.files {
		if strings.Contains(head, "%s") {
			env.complainf(head, file)
		} else {
			env.complainf("%s", head)
		}
		pairs := f.pairs[file]
		for i := range pairs {
			p := pairs[i]
			if newestFirst {
				p = pairs[len(pairs)-1-i]
			}
			env.complainf(line, p[0], p[1])
		}
	}
}

func (d *dump) printFindings() {
	d.mismatches.print(d.env, "Mismatches in :%s", "  Index offset: %d, log offset: %d", true)
	d.timeMismatches.print(d.env, "Found timestamp mismatch in :%s", "  Index timestamp: %d, log timestamp: %d", false)
	d.outOfOrder.print(d.env, "Found out of order timestamp in :%s", "  Index timestamp: %d, Previously indexed timestamp: %d", false)
	d.notFound.print(d.env, "The following indexed offsets are not found in the log.", "Indexed offset: %d, found log offset: %d", false)
	d.nonConsecutive.print(d.env, "Non-consecutive offsets in %s", "  %d is followed by %d", true)
}
