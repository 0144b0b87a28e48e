package tools

import (
	"encoding/base64"
	"sort"
	"strconv"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func ints(ids []int32) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = int(id)
	}
	return out
}

// joined formats ids as "0,1,2". bracketed formats them like a Java list, "[0, 1, 2]".
func joined(ids []int32) string { return joinIDs(ids, ",") }

func bracketed(ids []int32) string { return "[" + joinIDs(ids, ", ") + "]" }

func joinIDs(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}

func topicIDText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
