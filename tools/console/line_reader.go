package console

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
)

// lineReader converts lines of text to records, according to the properties of Kafka's
// LineMessageReader.
type lineReader struct {
	topic                               string
	parseKey, parseHeaders, ignoreError bool
	keySeparator, headersDelimiter      string
	headersSeparator, headerKeySep      string
	headersPattern                      *regexp.Regexp
	nullMarker                          *string

	in     *bufio.Reader
	skipLF bool // the previous line ended with \r; a \n that follows belongs to that line end
	prompt func()
	line   int
}

// newLineReader returns a reader of the lines of in. prompt is called before each line.
func newLineReader(topic string, props map[string]string, in io.Reader, prompt func()) (*lineReader, error) {
	get := func(key, def string) string {
		if v, ok := props[key]; ok {
			return v
		}
		return def
	}
	yes := func(key string) bool { return strings.EqualFold(strings.TrimSpace(props[key]), "true") }
	r := &lineReader{
		topic: topic, in: bufio.NewReaderSize(in, 64<<10), prompt: prompt,
		parseKey: yes("parse.key"), parseHeaders: yes("parse.headers"), ignoreError: yes("ignore.error"),
		keySeparator: get("key.separator", "\t"), headersDelimiter: get("headers.delimiter", "\t"),
		headersSeparator: get("headers.separator", ","), headerKeySep: get("headers.key.separator", ":"),
	}
	if marker, ok := props["null.marker"]; ok {
		r.nullMarker = &marker
	}
	equal := func(a, b, names string) error {
		if a == b {
			return readerError(names + " may not be equal")
		}
		return nil
	}
	checks := []error{
		equal(r.headersDelimiter, r.headersSeparator, "headers.delimiter and headers.separator"),
		equal(r.headersDelimiter, r.headerKeySep, "headers.delimiter and headers.key.separator"),
		equal(r.headersSeparator, r.headerKeySep, "headers.separator and headers.key.separator"),
	}
	if r.nullMarker != nil {
		checks = append(checks,
			equal(*r.nullMarker, r.keySeparator, "null.marker and key.separator"),
			equal(*r.nullMarker, r.headersSeparator, "null.marker and headers.separator"),
			equal(*r.nullMarker, r.headersDelimiter, "null.marker and headers.delimiter"),
			equal(*r.nullMarker, r.headerKeySep, "null.marker and headers.key.separator"))
	}
	for _, err := range checks {
		if err != nil {
			return nil, err
		}
	}
	var err error
	if r.headersPattern, err = regexp.Compile(r.headersSeparator); err != nil {
		return nil, readerError(fmt.Sprintf("headers.separator %q is not a regular expression", r.headersSeparator))
	}
	return r, nil
}

func readerError(text string) error {
	return cli.NewJavaError("org.apache.kafka.common.KafkaException", text)
}

// next returns the record of the next line, or io.EOF after the last one.
func (r *lineReader) next() (*kgo.Record, error) {
	r.line++
	r.prompt()
	line, err := r.readLine()
	if err != nil {
		return nil, err
	}
	headers, headersFound, err := r.field(r.parseHeaders, line, 0, r.headersDelimiter, "headers delimiter")
	if err != nil {
		return nil, err
	}
	offset := 0
	if headersFound {
		offset = len(headers) + len(r.headersDelimiter)
	}
	key, keyFound, err := r.field(r.parseKey, line, offset, r.keySeparator, "key separator")
	if err != nil {
		return nil, err
	}
	if keyFound {
		offset += len(key) + len(r.keySeparator)
	}
	record := &kgo.Record{Topic: r.topic, Value: r.bytes(line[offset:])}
	if keyFound {
		record.Key = r.bytes(key)
	}
	if headersFound && !r.isNull(headers) {
		if record.Headers, err = r.splitHeaders(headers); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// readLine reads up to the next \n, \r or \r\n. It returns a line that ends with \r without reading
// the next byte, because a terminal may not have it yet.
func (r *lineReader) readLine() (string, error) {
	var line strings.Builder
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			if line.Len() > 0 {
				return line.String(), nil
			}
			return "", io.EOF
		}
		afterCR := r.skipLF
		r.skipLF = b == '\r'
		switch {
		case b == '\n' && afterCR:
		case b == '\n' || b == '\r':
			return line.String(), nil
		default:
			line.WriteByte(b)
		}
	}
}

func (r *lineReader) field(enabled bool, line string, start int, separator, name string) (text string, found bool, err error) {
	if !enabled {
		return "", false, nil
	}
	i := strings.Index(line[start:], separator)
	if i < 0 {
		if r.ignoreError {
			return "", false, nil
		}
		return "", false, readerError(fmt.Sprintf("No %s found on line number %d: '%s'", name, r.line, line))
	}
	return line[start : start+i], true, nil
}

func (r *lineReader) isNull(text string) bool { return r.nullMarker != nil && *r.nullMarker == text }

// bytes returns text as bytes, or nil if it is the null marker.
func (r *lineReader) bytes(text string) []byte {
	if r.isNull(text) {
		return nil
	}
	return []byte(text)
}

func (r *lineReader) splitHeaders(text string) ([]kgo.RecordHeader, error) {
	var headers []kgo.RecordHeader
	for _, pair := range r.headersPattern.Split(text, -1) {
		key, value, found := strings.Cut(pair, r.headerKeySep)
		if !found {
			if !r.ignoreError {
				return nil, readerError(fmt.Sprintf("No header key separator found in pair '%s' on line number %d", pair, r.line))
			}
			headers = append(headers, kgo.RecordHeader{Key: pair})
			continue
		}
		if r.isNull(key) {
			return nil, readerError(fmt.Sprintf("Header keys should not be equal to the null marker '%s' as they can't be null", key))
		}
		headers = append(headers, kgo.RecordHeader{Key: key, Value: r.bytes(value)})
	}
	return headers, nil
}
