package settings

import (
	"strings"
	"testing"
)

func TestTheMetricsListenerIsNotShownAsAKeyOfKafka(t *testing.T) {
	without := mustLoad(t, "")
	with := mustLoad(t, "monedula.metrics.listener=127.0.0.1:9404\n")
	if got := without.MetricsListener(); got != "" {
		t.Errorf("metrics are served at %s without being asked for", got)
	}
	if got := with.MetricsListener(); got != "127.0.0.1:9404" {
		t.Errorf("metrics are served at %q", got)
	}
	if warnings := with.Warnings(); len(warnings) != 0 {
		t.Errorf("warnings %q for a key of Monedula", warnings)
	}
	if with.Values() != without.Values() {
		t.Error("the block of values shows a key that Kafka does not have")
	}
	if got := with.WithBrokerID(7).MetricsListener(); got != "127.0.0.1:9404" {
		t.Errorf("with a broker id, metrics are served at %q", got)
	}
	if got := NewDynamic(with).Current().MetricsListener(); got != "127.0.0.1:9404" {
		t.Errorf("with dynamic configuration, metrics are served at %q", got)
	}
}

func TestTheLowWatermarkOfDisksIsRead(t *testing.T) {
	for text, want := range map[string]int64{"": -1, "-1": -1, "0": 0, "1073741824": 1 << 30} {
		lines := ""
		if text != "" {
			lines = "monedula.disk.low.watermark.bytes=" + text + "\n"
		}
		if got := mustLoad(t, lines).DiskLowWatermark(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"-2", "1g", "1e9"} {
		_, err := load(t, "zookeeper.connect=localhost:2181\nmonedula.disk.low.watermark.bytes="+text+"\n", nil)
		if err == nil || !strings.Contains(err.Error(), "monedula.disk.low.watermark.bytes") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func TestKeysOfMonitoringHaveSafeDefaults(t *testing.T) {
	c := mustLoad(t, "")
	if c.PprofEnabled() || c.ConsumerLagPartitions() != 10_000 {
		t.Errorf("profiles: %t, partitions with lag: %d", c.PprofEnabled(), c.ConsumerLagPartitions())
	}
	c = mustLoad(t, "monedula.pprof.enable=true\nmonedula.metrics.consumer.lag.partitions=0\n")
	if !c.PprofEnabled() || c.ConsumerLagPartitions() != 0 {
		t.Errorf("profiles: %t, partitions with lag: %d", c.PprofEnabled(), c.ConsumerLagPartitions())
	}
	for _, line := range []string{"monedula.pprof.enable=yes", "monedula.metrics.consumer.lag.partitions=-1"} {
		if _, err := load(t, "zookeeper.connect=localhost:2181\n"+line+"\n", nil); err == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}

func TestMetricsListenerIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"9404":            "Value must be host:port",
		"localhost:http":  "The port must be a number from 0 to 65535",
		"localhost:65536": "The port must be a number from 0 to 65535",
	} {
		_, err := load(t, "zookeeper.connect=localhost:2181\nmonedula.metrics.listener="+text+"\n", nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "monedula.metrics.listener") {
			t.Errorf("%s: error %v, want one that contains %q", text, err, want)
		}
	}
	for _, text := range []string{":9404", "[::1]:0", "  127.0.0.1:1  "} {
		if _, err := load(t, "zookeeper.connect=localhost:2181\nmonedula.metrics.listener="+text+"\n", nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
