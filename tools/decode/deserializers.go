// Package decode converts the keys and values of records to text.
package decode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/tools/cli"
)

// Deserializer turns bytes into what is printed.
type Deserializer func([]byte) ([]byte, error)

// Deserializers has the deserializers of Kafka's own serialization package whose values can be
// printed.
var Deserializers = map[string]Deserializer{
	"StringDeserializer": func(b []byte) ([]byte, error) { return b, nil },
	"ShortDeserializer": sized("ShortDeserializer", 2, func(b []byte) string {
		return strconv.FormatInt(int64(int16(binary.BigEndian.Uint16(b))), 10)
	}),
	"IntegerDeserializer": sized("IntegerDeserializer", 4, func(b []byte) string {
		return strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10)
	}),
	"LongDeserializer": sized("LongDeserializer", 8, func(b []byte) string { return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10) }),
	// The errors of these two do not name the whole class.
	"FloatDeserializer": sized("Deserializer", 4, func(b []byte) string {
		return javatext.Float(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}),
	"DoubleDeserializer": sized("Deserializer", 8, func(b []byte) string {
		return javatext.Double(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}),
	"BooleanDeserializer": sized("BooleanDeserializer", 1, func(b []byte) string { return strconv.FormatBool(b[0] == 1) }),
	"UUIDDeserializer":    uuid,
	"BytesDeserializer":   func(b []byte) ([]byte, error) { return []byte(printableBytes(b)), nil },
}

// uuid prints a UUID like Java, which accepts groups of fewer or more digits.
func uuid(b []byte) ([]byte, error) {
	groups := strings.Split(string(b), "-")
	var numbers [5]uint64
	bad := len(groups) != len(numbers) || len(b) > 36
	for i := 0; i < len(numbers) && !bad; i++ {
		n, err := strconv.ParseInt(groups[i], 16, 64)
		numbers[i], bad = uint64(n), err != nil
	}
	if bad {
		return nil, cli.NewJavaError("org.apache.kafka.common.errors.SerializationException", "Error parsing data into UUID")
	}
	return fmt.Appendf(nil, "%08x-%04x-%04x-%04x-%012x", uint32(numbers[0]), uint16(numbers[1]), uint16(numbers[2]), uint16(numbers[3]), numbers[4]&(1<<48-1)), nil
}

func sized(class string, size int, text func([]byte) string) Deserializer {
	return func(b []byte) ([]byte, error) {
		if len(b) != size {
			return nil, cli.NewJavaError("org.apache.kafka.common.errors.SerializationException", fmt.Sprintf("Size of data received by %s is not %d", class, size))
		}
		return []byte(text(b)), nil
	}
}

// printableBytes formats b like Kafka's Bytes class: ASCII unchanged, other bytes as \xNN.
func printableBytes(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' && c != '\\' {
			out.WriteByte(c)
		} else {
			out.WriteString(`\x` + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}
