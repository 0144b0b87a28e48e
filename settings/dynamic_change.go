package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// checkChange returns an error if a running broker cannot change from one valid configuration to
// another.
func checkChange(before, now *Config) error {
	for _, k := range []KeyOf[int32]{NumIOThreads, NumReplicaFetchers, NumRecoveryThreadsPerDataDir, backgroundThreads, numNetworkThreads} {
		if err := checkThreads(k.Name, k.Of(before), k.Of(now)); err != nil {
			return err
		}
	}
	if err := checkCleanerThreads(LogCleanerThreads.Of(before), LogCleanerThreads.Of(now)); err != nil {
		return err
	}
	if err := checkLocalRetention(now); err != nil {
		return err
	}
	if err := checkReporters(before, now); err != nil {
		return err
	}
	return checkListenerChange(before, now)
}

// checkLocalRetention checks that the local retention of tiered logs does not exceed the total
// retention, if both are set.
func checkLocalRetention(c *Config) error {
	for _, limit := range []struct {
		local KeyOf[int64]
		whole *Key
		most  int64
	}{
		{logLocalRetentionMs, logRetentionMs.Key, c.RetentionMs()},
		{logLocalRetentionBytes, logRetentionBytes.Key, logRetentionBytes.Of(c)},
	} {
		local := limit.local.Of(c)
		switch {
		case limit.most < 0 || local == -2:
		case local == -1:
			return fmt.Errorf("Invalid value -1 for configuration %s: Value must not be -1 as %s value is set as %d.", limit.local.Name, limit.whole.Name, limit.most)
		case local > limit.most:
			return fmt.Errorf("Invalid value %d for configuration %s: Value must not be more than %s property value: %d", local, limit.local.Name, limit.whole.Name, limit.most)
		}
	}
	return nil
}

// checkReporters refuses new metrics reporters, which are Java classes, in the way Kafka refuses
// those that it cannot load.
func checkReporters(before, now *Config) error {
	added := slices.DeleteFunc(slices.Clone(metricReporters.Of(now)), func(class string) bool {
		return class == "org.apache.kafka.common.metrics.JmxReporter" || slices.Contains(metricReporters.Of(before), class)
	})
	if len(added) == 0 {
		return nil
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(now.originals)) {
		text := now.originals[name]
		if old, ok := before.originals[name]; !ok || old != text {
			changed = append(changed, name)
		}
	}
	return fmt.Errorf("Validation of dynamic config update of %s failed with class class kafka.server.DynamicMetricsReporters",
		javatext.Collection("Set", javatext.MutableOrder(changed, javatext.StringHash)))
}

// checkThreads lets a number of threads at most double or halve.
func checkThreads(key string, was, is int32) error {
	text := fmt.Sprintf("Dynamic thread count update validation failed for %s=%d", key, is)
	switch {
	case was == is:
		return nil
	case is <= 0:
		return errors.New(text + ", value should be at least 1")
	case is < was/2:
		return fmt.Errorf("%s, value should be at least half the current value %d", text, was)
	case is > was*2:
		return fmt.Errorf("%s, value should not be greater than double the current value %d", text, was)
	}
	return nil
}

func checkCleanerThreads(was, is int32) error {
	switch {
	case was == is:
		return nil
	case is < 1:
		return errors.New("Log cleaner threads should be at least 1")
	case is < was/2:
		return fmt.Errorf("Log cleaner threads cannot be reduced to less than half the current value %d", was)
	case is > was*2:
		return fmt.Errorf("Log cleaner threads cannot be increased to more than double the current value %d", was)
	}
	return nil
}

// checkListenerChange checks that every listener accepts connections, and that a listener that
// stays keeps its security protocol and all its own keys except key stores and limits.
func checkListenerChange(before, now *Config) error {
	for _, e := range now.listeners {
		for _, k := range []*Key{MaxConnections.Key, maxConnectionCreationRate.Key} {
			text, _ := now.ListenerValue(e.Listener, k)
			if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil && n <= 0 {
				return fmt.Errorf("Invalid %s %d", k.Name, n)
			}
		}
	}
	kept := names(before.listeners)
	for _, e := range now.listeners {
		if !slices.Contains(kept, e.Listener) {
			continue
		}
		if !maps.Equal(before.immutableOf(e.Listener), now.immutableOf(e.Listener)) {
			return fmt.Errorf("Configs cannot be updated dynamically for existing listener ListenerName(%s), "+
				"restart broker or create a new listener for update", e.Listener)
		}
		if before.protocols[e.Listener] != now.protocols[e.Listener] {
			return fmt.Errorf("Security protocol cannot be updated for existing listener ListenerName(%s)", e.Listener)
		}
	}
	return nil
}

// immutableOf returns the listener's own keys that cannot change while it is open.
func (c *Config) immutableOf(listener string) map[string]string {
	keys := map[string]string{}
	for name, text := range c.originals {
		key, ok := strings.CutPrefix(name, "listener.name."+strings.ToLower(listener)+".")
		if !ok || needsListenerPrefix(key) || slices.Contains(adjustable, key) {
			continue
		}
		keys[key] = text
	}
	return keys
}
