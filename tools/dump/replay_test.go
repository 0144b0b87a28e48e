package dump

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/toolreplay"
)

// goldenFiles returns files of a real broker, and damaged ones, by their names in {F}.
func goldenFiles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"empty/00000000000000000000.log": "", "empty/00000000000000000000.index": "", "name/first.log": "", "text.index": "no index"}
	for folder, names := range map[string][]string{
		"codec-gzip-0": {"00000000000000000000.log", "00000000000000000000.timeindex", "00000000000000000060.snapshot"},
		"segments-0":   {"00000000000000000024.log", "00000000000000000024.index", "00000000000000000024.timeindex", "leader-epoch-checkpoint"},
		"txn-0":        {"00000000000000000042.log", "00000000000000000042.txnindex", "00000000000000000047.snapshot"},
	} {
		for _, name := range names {
			all[folder+"/"+name] = string(golden.Read(t, filepath.Join("logdir-3.9.1/clean", folder, name)))
		}
	}
	log := all["segments-0/00000000000000000024.log"]
	index := all["segments-0/00000000000000000024.index"]
	times := all["segments-0/00000000000000000024.timeindex"]
	damaged := []byte(log)
	damaged[200] ^= 1 // in the records of the second batch
	all["damaged/00000000000000000024.log"] = string(damaged)
	all["cut/00000000000000000024.log"] = log[:len(log)-10]
	all["holes/00000000000000000024.log"] = log[:161] + log[2*161:]
	wrong := []byte(index)
	wrong[3]++ // the offset of the first entry
	all["wrong/00000000000000000024.log"], all["wrong/00000000000000000024.index"] = log, string(wrong)
	late := []byte(times)
	late[7]++ // the time of the first entry
	all["wrong/00000000000000000024.timeindex"] = string(late)
	all["odd/00000000000000000024.log"], all["odd/00000000000000000024.index"], all["odd/00000000000000000024.timeindex"] = log, index[:13], times[:13]
	all["down/00000000000000000024.timeindex"] = times[12:24] + times[:12]
	all["below/00000000000000000024.index"] = index[:8] + "\xff\xff\xff\xff\x00\x00\x00\x00"
	all["below/00000000000000000024.timeindex"] = times[:20] + "\xff\xff\xff\xff"
	txn := all["txn-0/00000000000000000042.txnindex"]
	all["odd/00000000000000000042.txnindex"], all["wrong/00000000000000000042.txnindex"] = txn+"x", "\x00\x09"+txn[2:]
	all["cut/00000000000000000047.snapshot"] = all["txn-0/00000000000000000047.snapshot"][:50]
	all["down/00000000000000000024.log"], all["down/00000000000000000024.index"], all["below/00000000000000000024.log"] = log, index, log
	all["cut/00000000000000000001.snapshot"], all["cut/00000000000000000005.snapshot"] = "", "\x00\x01\x00\x00\x00"
	all["cut/00000000000000000008.snapshot"] = "\x00\x01\x00\x00\x00\x00\x00\x00"
	all["young/00000000000000000000.log"], all["young/00000000000000000000.timeindex"] = all["codec-gzip-0/00000000000000000000.log"], all["codec-gzip-0/00000000000000000000.timeindex"]
	all["alone/00000000000000000024.index"], all["alone/00000000000000000024.timeindex"] = index, times
	snapshot := []byte(all["txn-0/00000000000000000047.snapshot"])
	snapshot[20] ^= 1
	all["damaged/00000000000000000047.snapshot"] = string(snapshot)
	return all
}

func TestDumpPrintsWhatTheRealToolPrints(t *testing.T) {
	const (
		segment = "--files {F}/segments-0/00000000000000000024"
		gzip    = "--files {F}/codec-gzip-0/00000000000000000000"
		decoder = " --max-bytes 400 --value-decoder-class org.apache.kafka.tools.api."
	)
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: goldenFiles(t), Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "log", Args: segment + ".log"},
		toolreplay.Case{Name: "log-deep", Args: segment + ".log --deep-iteration --max-bytes 500"},
		toolreplay.Case{Name: "log-data", Args: segment + ".log --print-data-log --max-bytes 500"},
		toolreplay.Case{Name: "log-without-metadata", Args: segment + ".log --print-data-log --skip-record-metadata --max-bytes 500"},
		toolreplay.Case{Name: "log-compressed", Args: gzip + ".log --deep-iteration --max-bytes 300"},
		toolreplay.Case{Name: "log-of-transactions", Args: "--files {F}/txn-0/00000000000000000042.log --print-data-log"},
		toolreplay.Case{Name: "log-bytes-inside-a-batch", Args: segment + ".log --max-bytes 100"},
		toolreplay.Case{Name: "log-no-bytes", Args: segment + ".log --max-bytes 0"},
		toolreplay.Case{Name: "log-empty", Args: "--files {F}/empty/00000000000000000000.log"},
		toolreplay.Case{Name: "log-damaged", Args: "--files {F}/damaged/00000000000000000024.log --deep-iteration --max-bytes 500"},
		toolreplay.Case{Name: "log-cut", Args: "--files {F}/cut/00000000000000000024.log"},
		toolreplay.Case{Name: "log-with-holes", Args: "--files {F}/holes/00000000000000000024.log --deep-iteration"},
		toolreplay.Case{Name: "log-name", Args: "--files {F}/name/first.log"},
		toolreplay.Case{Name: "decode-text", Args: segment + ".log" + decoder + "StringDecoder"},
		toolreplay.Case{Name: "decode-default", Args: segment + ".log" + decoder + "DefaultDecoder", Tidy: withoutHash},
		toolreplay.Case{Name: "decode-integer", Args: segment + ".log" + decoder + "IntegerDecoder"},
		toolreplay.Case{Name: "decode-long", Args: segment + ".log" + decoder + "LongDecoder"},
		toolreplay.Case{Name: "decode-old-name", Args: segment + ".log --max-bytes 400 --key-decoder-class kafka.serializer.StringDecoder"},
		toolreplay.Case{Name: "decode-unqualified", Args: segment + ".log --max-bytes 400 --key-decoder-class StringDecoder"},
		toolreplay.Case{Name: "decode-too-short", Args: segment + ".log --max-bytes 400 --key-decoder-class org.apache.kafka.tools.api.IntegerDecoder"},
		toolreplay.Case{Name: "decode-too-short-long", Args: segment + ".log --max-bytes 400 --key-decoder-class org.apache.kafka.tools.api.LongDecoder"},
		toolreplay.Case{Name: "decode-unknown", Args: segment + ".log --value-decoder-class nosuch.Decoder"},
		toolreplay.Case{Name: "decode-offsets", Args: segment + ".log --max-bytes 400 --offsets-decoder"},
		toolreplay.Case{Name: "decode-transactions", Args: segment + ".log --max-bytes 400 --transaction-log-decoder"},

		toolreplay.Case{Name: "index", Args: segment + ".index"},
		toolreplay.Case{Name: "index-verify", Args: segment + ".index --verify-index-only"},
		toolreplay.Case{Name: "index-sanity", Args: segment + ".index --index-sanity-check"},
		toolreplay.Case{Name: "index-small-messages", Args: segment + ".index --max-message-size 10"},
		toolreplay.Case{Name: "index-wrong", Args: "--files {F}/wrong/00000000000000000024.index"},
		toolreplay.Case{Name: "index-wrong-verify", Args: "--files {F}/wrong/00000000000000000024.index --verify-index-only"},
		toolreplay.Case{Name: "index-odd", Args: "--files {F}/odd/00000000000000000024.index"},
		toolreplay.Case{Name: "index-odd-sanity", Args: "--files {F}/odd/00000000000000000024.index --index-sanity-check"},
		toolreplay.Case{Name: "index-below-base-sanity", Args: "--files {F}/below/00000000000000000024.index --index-sanity-check"},
		toolreplay.Case{Name: "index-empty", Args: "--files {F}/empty/00000000000000000000.index"},
		toolreplay.Case{Name: "index-without-log", Args: "--files {F}/alone/00000000000000000024.index"},
		toolreplay.Case{Name: "index-name", Args: "--files {F}/text.index"},
		toolreplay.Case{Name: "timeindex", Args: segment + ".timeindex"},
		toolreplay.Case{Name: "timeindex-verify", Args: segment + ".timeindex --verify-index-only"},
		toolreplay.Case{Name: "timeindex-sanity", Args: segment + ".timeindex --index-sanity-check"},
		toolreplay.Case{Name: "timeindex-without-index", Args: gzip + ".timeindex"},
		toolreplay.Case{Name: "timeindex-wrong", Args: "--files {F}/wrong/00000000000000000024.timeindex"},
		toolreplay.Case{Name: "timeindex-odd-sanity", Args: "--files {F}/odd/00000000000000000024.timeindex --index-sanity-check"},
		toolreplay.Case{Name: "timeindex-down-sanity", Args: "--files {F}/down/00000000000000000024.timeindex --index-sanity-check"},
		toolreplay.Case{Name: "timeindex-below-base-sanity", Args: "--files {F}/below/00000000000000000024.timeindex --index-sanity-check"},
		toolreplay.Case{Name: "timeindex-without-index-sanity", Args: "--files {F}/young/00000000000000000000.timeindex --index-sanity-check"},
		toolreplay.Case{Name: "timeindex-without-log", Args: "--files {F}/alone/00000000000000000024.timeindex"},

		toolreplay.Case{Name: "txnindex", Args: "--files {F}/txn-0/00000000000000000042.txnindex"},
		toolreplay.Case{Name: "txnindex-odd", Args: "--files {F}/odd/00000000000000000042.txnindex"},
		toolreplay.Case{Name: "txnindex-version", Args: "--files {F}/wrong/00000000000000000042.txnindex"},
		toolreplay.Case{Name: "snapshot-cut", Args: "--files {F}/cut/00000000000000000047.snapshot"},
		toolreplay.Case{Name: "snapshot-cut-before-version", Args: "--files {F}/cut/00000000000000000001.snapshot"},
		toolreplay.Case{Name: "snapshot-cut-in-crc", Args: "--files {F}/cut/00000000000000000005.snapshot"},
		toolreplay.Case{Name: "snapshot-cut-in-count", Args: "--files {F}/cut/00000000000000000008.snapshot"},
		toolreplay.Case{Name: "snapshot", Args: "--files {F}/txn-0/00000000000000000047.snapshot"},
		toolreplay.Case{Name: "snapshot-of-nothing", Args: "--files {F}/codec-gzip-0/00000000000000000060.snapshot"},
		toolreplay.Case{Name: "snapshot-damaged", Args: "--files {F}/damaged/00000000000000000047.snapshot"},
		toolreplay.Case{Name: "checkpoint", Args: "--files {F}/segments-0/leader-epoch-checkpoint"},
		toolreplay.Case{Name: "several", Args: "--files {F}/txn-0/00000000000000000042.txnindex,{F}/txn-0/00000000000000000047.snapshot,{F}/nosuch.log"},
		toolreplay.Case{Name: "several-wrong", Args: "--files {F}/wrong/00000000000000000024.index,{F}/wrong/00000000000000000024.timeindex,{F}/holes/00000000000000000024.log --deep-iteration --max-bytes 400"},
		toolreplay.Case{Name: "max-bytes-too-large", Args: segment + ".log --max-bytes 3000000000"},
		toolreplay.Case{Name: "max-bytes-not-a-number", Args: segment + ".log --max-bytes x"},
		toolreplay.Case{Name: "max-message-size-not-a-number", Args: segment + ".index --max-message-size x"},
	)})
}

// withoutHash removes where Java has stored bytes.
func withoutHash(text string) string { return arrayHash.ReplaceAllString(text, "[B@*") }

var arrayHash = regexp.MustCompile(`\[B@[0-9a-f]+`)
