package javatext_test

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/settings"
)

// The expected order is that of kafka-topics.sh --describe.
func TestConfigurationsOfTopicsAreInTheOrderOfJavaHashTables(t *testing.T) {
	keys := javatext.HashMapOrder(settings.TopicKeys(), javatext.StringHash)
	keys = slices.DeleteFunc(keys, func(key string) bool {
		return !slices.Contains([]string{"flush.ms", "min.insync.replicas", "retention.ms"}, key)
	})
	if !slices.Equal(keys, []string{"min.insync.replicas", "flush.ms", "retention.ms"}) {
		t.Errorf("configurations are listed as %q", keys)
	}
}
