// Package dump implements kafka-dump-log.
package dump

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
)

// Tool is kafka-dump-log.
var Tool = cli.Tool{
	Name:    "kafka-dump-log",
	Summary: "Prints the contents of segment and index files.",
	Run:     runDumpLog,
}

// dump is one run of the tool.
type dump struct {
	*cli.Options
	out            *bufio.Writer
	printData      bool
	deep           bool
	verifyOnly     bool
	sanityOnly     bool
	skipMetadata   bool
	maxMessageSize *cli.Option // of indexes; read when an index is dumped
	maxBytes       *cli.Option // of logs; read when a log is dumped
	// decoder returns the decoder for the records of a log. It is called for every log.
	decoder func() (recordDecoder, error)

	// Findings are printed to stderr after all files, each kind in the order found.
	mismatches     findings // index files: index offset, log offset
	nonConsecutive findings // log files: offset, next offset
	timeMismatches findings // time indexes: index timestamp, log timestamp
	outOfOrder     findings // time indexes: timestamp, previous timestamp
	notFound       findings // time indexes: indexed offset, log offset
}

const maxInt32 = 1<<31 - 1

func runDumpLog(env *cli.Env, args []string) int {
	o := cli.NewOptions(env, "kafka-dump-log", "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.")
	files := o.Value("files", "String: file1, file2, ...", "REQUIRED: The files to dump, separated by commas. Supported are .log, .index, .timeindex, .txnindex and .snapshot.")
	printData := o.Toggle("print-data-log", "Print the keys and values of records. Implied by the decoder options.")
	deep := o.Toggle("deep-iteration", "Print the records of each batch. Implied by --print-data-log.")
	verify := o.Toggle("verify-index-only", "Check an index against its log without printing it.")
	sanity := o.Toggle("index-sanity-check", "Only run the sanity check that the broker runs on indexes at startup.")
	messageSize := o.Value("max-message-size", "Integer: size", "The size in bytes of the largest batch that an index may point to. (default: 5242880)")
	maxBytes := o.Value("max-bytes", "Integer: size", "Read at most N bytes of a log. (default: 2147483647)")
	offsets := o.Toggle("offsets-decoder", "Decode records as those of __consumer_offsets.")
	transactions := o.Toggle("transaction-log-decoder", "Decode records as those of __transaction_state.")
	metadata := o.Toggle("cluster-metadata-decoder", "Accepted, but records of KRaft's metadata log are printed as text.")
	remote := o.Toggle("remote-log-metadata-decoder", "Accepted, but records of tiered storage are printed as text.")
	skip := o.Toggle("skip-record-metadata", "Print only the keys and values of records, without their metadata.")
	keyDecoder := o.MaybeValue("key-decoder-class", "String", "The Java class that decodes keys. (default: org.apache.kafka.tools.api.StringDecoder)")
	valueDecoder := o.MaybeValue("value-decoder-class", "String", "The Java class that decodes values. (default: org.apache.kafka.tools.api.StringDecoder)")
	if len(args) == 0 {
		env.Complainf("%s", o.Summary)
		o.PrintUsage(env.Stderr)
		return 1
	}
	if err := o.Parse(args); err != nil {
		return o.FailUncaught(err)
	}
	if err := o.Require(files); err != nil {
		return o.Fail(err)
	}
	d := &dump{Options: o, out: bufio.NewWriterSize(env.Stdout, 64<<10), verifyOnly: verify.Given(), sanityOnly: sanity.Given(), skipMetadata: skip.Given()}
	decoders := offsets.Given() || transactions.Given() || metadata.Given() || remote.Given() || keyDecoder.Given() || valueDecoder.Given()
	d.printData = printData.Given() || decoders
	d.deep = deep.Given() || d.printData
	d.maxMessageSize, d.maxBytes = messageSize, maxBytes
	d.decoder = func() (recordDecoder, error) {
		switch {
		case offsets.Given():
			return always(decodeOffsets), nil
		case transactions.Given():
			return always(decodeTransaction), nil
		}
		return decodeWith(keyDecoder.Or(""), valueDecoder.Or(""), func(text string) { fmt.Fprintln(d.out, text) })
	}
	for _, file := range strings.Split(files.Or(""), ",") {
		if cli.OutputFailed(d.out) {
			return 0
		}
		if err := d.dumpFile(file); err != nil && !cli.OutputFailed(d.out) {
			d.out.Flush()
			env.Complainf("Exception in thread \"main\" %s", cli.ExceptionText(cli.JavaClass(err), err.Error()))
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
	case "":
		n := len(filepath.Base(file))
		return cli.NewJavaError("java.lang.StringIndexOutOfBoundsException", fmt.Sprintf("begin -1, end %d, length %d", n, n))
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
		d.Env.Complainf("Ignoring unknown file %s", file)
		return nil
	}
}

// number returns the value of an option.
func number(opt *cli.Option, def int64) (int64, error) {
	if !opt.Given() {
		return def, nil
	}
	n, err := strconv.ParseInt(opt.Or(""), 10, 32)
	if err != nil {
		return 0, cli.NewJavaError("joptsimple.OptionArgumentConversionException", fmt.Sprintf("Cannot parse argument '%s' of option %s", opt.Or(""), opt.Name))
	}
	return n, nil
}

// baseOffset returns the offset in the name of a segment file.
func baseOffset(file string) (record.Offset, error) {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, cli.NewJavaError("java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", name))
	}
	return record.Offset(n), nil
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
		return nil, cli.NewJavaError("java.nio.file.NoSuchFileException", file)
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
	decode, err := d.decoder()
	if err != nil {
		return err
	}
	maxBytes, err := number(d.maxBytes, maxInt32)
	if err != nil {
		return err
	}
	base, err := baseOffset(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Log starting offset: %d\n", base)
	s, err := openScanner(file, 0, maxBytes)
	if err != nil {
		return err
	}
	defer s.file.Close()
	progress := cli.Progress{Env: d.Env, Total: s.end, What: filepath.Base(file), Late: true}
	defer progress.Clear()
	lastOffset := record.Offset(-1)
	for !cli.OutputFailed(d.out) {
		position := s.position
		if !d.Env.Watched {
			progress.Show(position)
		}
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
				d.nonConsecutive.add(absolute(file), int64(lastOffset), int64(r.Offset))
			}
			lastOffset = r.Offset
			return d.printRecord(batch, r, decode)
		})
		if err != nil {
			return err
		}
	}
	if trailing := s.end - s.position; trailing > 0 && maxBytes == maxInt32 {
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

func (d *dump) printRecord(b record.Batch, r *record.Record, decode recordDecoder) error {
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
		key, value, err := decode(r)
		if err != nil {
			return err
		}
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
func (f *findings) print(env *cli.Env, head, line string, newestFirst bool) {
	for _, file := range f.files {
		if strings.Contains(head, "%s") {
			env.Complainf(head, file)
		} else {
			env.Complainf("%s", head)
		}
		pairs := f.pairs[file]
		for i := range pairs {
			p := pairs[i]
			if newestFirst {
				p = pairs[len(pairs)-1-i]
			}
			env.Complainf(line, p[0], p[1])
		}
	}
}

func (d *dump) printFindings() {
	d.mismatches.print(d.Env, "Mismatches in :%s", "  Index offset: %d, log offset: %d", true)
	d.timeMismatches.print(d.Env, "Found timestamp mismatch in :%s", "  Index timestamp: %d, log timestamp: %d", false)
	d.outOfOrder.print(d.Env, "Found out of order timestamp in :%s", "  Index timestamp: %d, Previously indexed timestamp: %d", false)
	d.notFound.print(d.Env, "The following indexed offsets are not found in the log.", "Indexed offset: %d, found log offset: %d", false)
	d.nonConsecutive.print(d.Env, "Non-consecutive offsets in %s", "  %d is followed by %d", true)
}
