package storage

import (
	"context"

	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// leftOver is a partition directory after a crash, and the records that we serve from it.
type leftOver struct {
	where                   string
	files                   map[string][]byte
	recoveryPoint, logStart record.Offset
	records                 map[record.Offset]string // without control records
}

const crashTopicName = "crashed"

// A real broker recovers the logs that our crashes leave, and those that our own recovery leaves,
// and serves the same records.
func TestARealBrokerRecoversOurLogsAfterACrash(t *testing.T) {
	left := leftOvers(t, 23)
	kafka, zookeeper := testkit.RealKafka(t, "3.9.1"), testkit.ZooKeeper(t)
	broker := kafka.Broker(t, 0, zookeeper, "", "log.retention.ms=-1", "log.cleaner.enable=false",
		"num.recovery.threads.per.data.dir=4", "controlled.shutdown.enable=false")
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address()))
	noError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	admin.SetTimeoutMillis(60_000)
	created, err := admin.CreateTopic(context.Background(), int32(len(left)), 1, nil, crashTopicName)
	noError(t, err)
	wantEqual(t, "shut down cleanly", broker.Stop(2*time.Minute), true)
	layOut(t, broker.Dir, metadata.TopicID(created.ID), left)
	broker.Start()
	got := consumeAll(t, broker.Address(), len(left))
	records := 0
	for i, l := range left {
		records += len(l.records)
		if !maps.Equal(got[i], l.records) {
			t.Errorf("%s: the real broker serves %v, but we serve %v", l.where, got[i], l.records)
		}
	}
	if len(left) < 30 || records < 5*len(left) {
		t.Errorf("only %d left-overs with %d records were compared", len(left), records)
	}
}

// leftOvers crashes the history at every stride-th operation.
func leftOvers(t *testing.T, stride int) (all []leftOver) {
	for n, ended := stride, false; !ended; n += stride {
		synctest.Test(t, func(t *testing.T) {
			p := runHistory(t, n)
			ended = p.ended
			for how, image := range images(p.mem, 1) {
				raw := image.CrashClone(vfs.Everything, 0)
				m, _, err := crashManager(image, crashTopic())
				noError(t, err)
				l := m.Log(partition0)
				if l == nil {
					quiesce(m)
					continue
				}
				f, err := serve(l)
				noError(t, err)
				quiesce(m)
				maps.DeleteFunc(f.values, func(_ record.Offset, v string) bool { return v == controlValue })
				if how == "seed 0" { // the state after our recovery
					raw = image.CrashClone(vfs.Everything, 0)
				}
				all = append(all, takeOver(t, p.where+", "+how, raw, f.values))
			}
		})
	}
	return all
}

func takeOver(t *testing.T, where string, image *vfs.Mem, records map[record.Offset]string) leftOver {
	l := leftOver{where: where, files: map[string][]byte{}, records: records}
	entries, err := image.ReadDir("/data/t-0")
	noError(t, err)
	for _, e := range entries {
		l.files[e.Name()], err = readFile(image, "/data/t-0/"+e.Name())
		noError(t, err)
	}
	points, err := readOffsetCheckpoint(image, "/data/"+recoveryPointFile)
	noError(t, err)
	starts, err := readOffsetCheckpoint(image, "/data/"+logStartFile)
	noError(t, err)
	l.recoveryPoint, l.logStart = points[partition0], starts[partition0]
	return l
}

// layOut replaces the partitions of a stopped broker with the left-overs, as if it had been killed.
func layOut(t *testing.T, dir string, id metadata.TopicID, left []leftOver) {
	points, starts := map[TopicPartition]record.Offset{}, map[TopicPartition]record.Offset{}
	for i, l := range left {
		tp := TopicPartition{Topic: crashTopicName, Partition: int32(i)}
		path := filepath.Join(dir, currentDirName(tp))
		noError(t, os.RemoveAll(path))
		noError(t, os.Mkdir(path, 0o755))
		for name, content := range l.files {
			noError(t, os.WriteFile(filepath.Join(path, name), content, 0o644))
		}
		noError(t, writeFileAtomic(vfs.OS(), filepath.Join(path, partitionMetadataFile), partitionMetadata(id)))
		points[tp] = l.recoveryPoint
		if l.logStart > 0 {
			starts[tp] = l.logStart
		}
	}
	_, err := takeCleanShutdown(vfs.OS(), dir)
	noError(t, err)
	noError(t, writeOffsetCheckpoint(vfs.OS(), filepath.Join(dir, recoveryPointFile), points))
	noError(t, writeOffsetCheckpoint(vfs.OS(), filepath.Join(dir, logStartFile), starts))
	noError(t, writeOffsetCheckpoint(vfs.OS(), filepath.Join(dir, highWatermarkFile), nil))
}

// consumeAll reads every partition from its start to its end.
func consumeAll(t *testing.T, address string, partitions int) []map[record.Offset]string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	from := map[int32]kgo.Offset{}
	all := make([]map[record.Offset]string, partitions)
	for i := range all {
		from[int32(i)], all[i] = kgo.NewOffset().AtStart(), map[record.Offset]string{}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{crashTopicName: from}))
	noError(t, err)
	defer client.Close()
	var ends kadm.ListedOffsets
	testkit.Eventually(t, 2*time.Minute, "the partitions have a leader", func() bool {
		ends, err = kadm.NewClient(client).ListEndOffsets(ctx, crashTopicName)
		return err == nil && ends.Error() == nil && len(ends[crashTopicName]) == partitions
	})
	starts, err := kadm.NewClient(client).ListStartOffsets(ctx, crashTopicName)
	noError(t, err)
	missing := map[int32]int64{}
	for i, end := range ends[crashTopicName] {
		if start := starts[crashTopicName][i].Offset; start < end.Offset {
			missing[i] = end.Offset
		}
	}
	for len(missing) > 0 {
		fetches := client.PollFetches(ctx)
		noError(t, ctx.Err())
		for _, e := range fetches.Errors() {
			t.Fatalf("partition %d: %v", e.Partition, e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all[r.Partition][record.Offset(r.Offset)] = string(r.Value)
			}
			if r.Offset+1 >= missing[r.Partition] {
				delete(missing, r.Partition)
			}
		})
	}
	return all
}

func TestMain(m *testing.M) { testkit.Main(m) }
