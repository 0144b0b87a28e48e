package javatext

import (
	_ "embed"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// values.txt is what Java, Scala and Kafka's classes made of the values in testdata/JavaText.java,
// which says how to run it.
//
//go:embed testdata/values.txt
var values string

func TestValuesAreThoseOfJavaScalaAndKafka(t *testing.T) {
	functions := map[string]func(input string) string{
		"String.hashCode":            func(s string) string { return Join([]int32{StringHash(s)}, "") },
		"Utils.abs(String.hashCode)": func(s string) string { return Join([]int32{Abs(StringHash(s))}, "") },
		"String.length":              func(s string) string { return strconv.Itoa(Length(s)) },

		"TopicPartition.hashCode": func(s string) string {
			topic, _, _ := strings.Cut(s, " ")
			return Join([]int32{PartitionHash(topic, 7)}, "")
		},

		"java.util.Properties": func(s string) string { return Join(PropertiesOrder(strings.Fields(s)), " ") },

		"java.util.List.toString": func(s string) string { return List(strings.Fields(s)) },
		"scala.List.toString":     func(s string) string { return Collection("List", strings.Fields(s)) },
		"scala.collection.mutable.HashMap.toString": func(s string) string {
			entries := map[string]string{}
			var keys []string
			for pair := range slices.Chunk(strings.Fields(s), 2) {
				keys = append(keys, pair[0])
				entries[pair[0]] = pair[0] + " -> " + pair[1]
			}
			var texts []string
			for _, key := range MutableOrder(keys, StringHash) {
				texts = append(texts, entries[key])
			}
			return Collection("HashMap", texts)
		},
		"scala.Option.toString": func(s string) string {
			if s == "" {
				return None
			}
			return Some(s)
		},
		"Uuid.toString":   func(s string) string { return UUID([16]byte(unhex(s))) },
		"Double.toString": func(s string) string { return Double(math.Float64frombits(bitsOf(s))) },
		"Float.toString":  func(s string) string { return Float(math.Float32frombits(uint32(bitsOf(s)))) },
		"new String":      func(s string) string { return Decode(unhex(s)) },
	}
	type order struct {
		strings func([]string, func(string) int32) []string
		ints    func([]int32, func(int32) int32) []int32
	}
	for class, o := range map[string]order{
		"java.util.HashMap":                {HashMapOrder[string], HashMapOrder[int32]},
		"copied java.util.HashMap":         {HashMapCopyOrder[string], HashMapCopyOrder[int32]},
		"scala.collection.mutable.HashMap": {MutableOrder[string], MutableOrder[int32]},
		"scala.collection.immutable.Set":   {ImmutableOrder[string], ImmutableOrder[int32]},
	} {
		functions[class+" of strings"] = func(s string) string { return Join(o.strings(strings.Fields(s), StringHash), " ") }
		functions[class+" of ints"] = func(s string) string { return Join(o.ints(ints(s), IntHash), " ") }
	}
	functions["scala.collection.immutable.Set.toString of strings"] = func(s string) string { return ImmutableSet(strings.Fields(s), StringHash) }
	functions["scala.collection.immutable.Set.toString of ints"] = func(s string) string { return ImmutableSet(ints(s), IntHash) }

	used := map[string]bool{}
	for line := range strings.Lines(values) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		function := functions[fields[0]]
		if function == nil {
			t.Fatalf("no function for %s", fields[0])
		}
		used[fields[0]] = true
		if have := function(fields[1]); have != fields[2] {
			t.Errorf("%s of %s:\nhave %s\nwant %s", fields[0], fields[1], have, fields[2])
		}
	}
	for name := range functions {
		if !used[name] {
			t.Errorf("no values for %s", name)
		}
	}
}

func TestItemsAreJoinedAsTheyAre(t *testing.T) {
	ids := []int32{2, 0, 1}
	if Join(ids, ",") != "2,0,1" || Join(ids, "/") != "2/0/1" || List(ids) != "[2, 0, 1]" || List[int32](nil) != "[]" || Join([]string(nil), ",") != "" {
		t.Errorf("%s %s", Join(ids, ","), List(ids))
	}
}

func TestOrdersLeaveTheirArgumentAlone(t *testing.T) {
	keys := strings.Fields("q a p b")
	for _, order := range []func([]string, func(string) int32) []string{HashMapOrder[string], HashMapCopyOrder[string], MutableOrder[string], ImmutableOrder[string]} {
		clear(order(keys, StringHash))
	}
	clear(PropertiesOrder(keys))
	if !slices.Equal(keys, []string{"q", "a", "p", "b"}) {
		t.Errorf("the argument became %q", keys)
	}
}

func TestTextOfAnIDIsParsed(t *testing.T) {
	id := [16]byte{0xff, 1, 15: 0xfb}
	for _, text := range []string{UUID(id), UUID(id) + "=="} {
		if have, err := ParseUUID(text); err != nil || have != id {
			t.Errorf("%s is parsed as %x, %v", text, have, err)
		}
	}
	for _, text := range []string{"", "AAAA", UUID(id) + "AAAA", strings.Repeat("*", 22)} {
		if have, err := ParseUUID(text); err == nil {
			t.Errorf("%q is parsed as %x", text, have)
		}
	}
}

func ints(s string) []int32 {
	var ns []int32
	for _, field := range strings.Fields(s) {
		n, _ := strconv.ParseInt(field, 10, 32)
		ns = append(ns, int32(n))
	}
	return ns
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

func bitsOf(s string) uint64 {
	n, _ := strconv.ParseUint(s, 16, 64)
	return n
}

func TestNumbersAreWrittenLikeInJava(t *testing.T) {
	for number, want := range map[float64]string{
		0: "0.0", -1.5: "-1.5", 1e7: "1.0E7", 123456789: "1.23456789E8", 0.002: "0.002", 0.0002: "2.0E-4",
		math.SmallestNonzeroFloat64: "4.9E-324", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		if have := Double(number); have != want {
			t.Errorf("%v: %s, want %s", number, have, want)
		}
	}
	if have := Float(math.SmallestNonzeroFloat32); have != "1.4E-45" {
		t.Errorf("the smallest float is %s", have)
	}
	if have := Double(math.NaN()); have != "NaN" {
		t.Errorf("not a number is %s", have)
	}
}
