package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// A real job of Apache Flink copies a topic with an exactly-once sink. It fails, it is killed and
// continues from its last checkpoint, brokers are killed, and the coordinators move. Each record is
// copied once and in order. The sink names its transactional ids in two ways: by the checkpoint, or
// taken from a pool, for which it lists the open transactions of its predecessor.
func TestFlinkCopiesEachRecordOnce(t *testing.T) {
	if !testkit.FullMatrices() {
		playFlink(t, "INCREMENTING", "ours", "ours", "ours")
		return
	}
	for _, kinds := range [][]string{{"ours", "ours", "ours"}, {"ours", "3.9.1", "ours"}, {"3.9.1", "3.9.1", "3.9.1"}} {
		for _, naming := range []string{"INCREMENTING", "POOLING"} {
			t.Run(naming+" "+strings.Join(kinds, " "), func(t *testing.T) { playFlink(t, naming, kinds...) })
		}
	}
}

func playFlink(t *testing.T, naming string, kinds ...string) {
	f := &flinkRun{
		copyRun: newCopyRun(t, "flink", kinds...),
		app:     testkit.JavaSystem(t, "flink", "2.2.1").Compile(t, "integration/testdata/FlinkApp.java"),
		naming:  naming,
		dir:     t.TempDir(),
	}
	f.start = f.startJob
	f.startInstance()
	f.play(append(f.faults(), applicationFault{"a failed task", f.failTask}, applicationFault{"kill -9 of an instance", f.killInstance}))
}

// flinkRun is a job of Flink, of which there is only one instance at a time.
type flinkRun struct {
	*copyRun
	app    *testkit.Kafka
	naming string // how transactional ids are chosen
	dir    string // of the checkpoints and of the file that makes a task fail
	starts int
}

// startJob starts the job from its last checkpoint, with another parallelism each time. With a pool
// of ids the parallelism stays the same: a sink of fewer tasks than its predecessor had does not
// abort an open transaction if its checkpoint has an earlier, committed one of the same id, so the
// transaction stays open until its timeout, which stops readers.
func (f *flinkRun) startJob() *testkit.Process {
	f.t.Helper()
	f.starts++
	parallelism := 2
	if f.naming == "INCREMENTING" {
		parallelism += f.starts % 2
	}
	lines := []string{
		"bootstrap.servers=" + strings.Join(f.addresses(), ","),
		"group.id=" + f.group,
		"naming=" + f.naming,
		"failure=" + f.failure(),
		"consumer.metadata.max.age.ms=5000",
		"producer.metadata.max.age.ms=5000",
		"producer.transaction.timeout.ms=600000", // a checkpoint must be committed before that
		fmt.Sprintf("parallelism.default=%d", parallelism),
		"execution.checkpointing.dir=file://" + f.dir,
		"execution.checkpointing.interval=1s",
		"execution.checkpointing.timeout=60s",
		"execution.checkpointing.num-retained=3",
		"execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION",
		"execution.checkpointing.tolerable-failed-checkpoints=100",
		"restart-strategy.type=fixed-delay",
		"restart-strategy.fixed-delay.attempts=1000",
		"restart-strategy.fixed-delay.delay=500ms",
		"taskmanager.memory.managed.size=8m",
		"taskmanager.memory.network.min=16m", "taskmanager.memory.network.max=16m",
	}
	if checkpoint := f.lastCheckpoint(); checkpoint != "" {
		lines = append(lines, "execution.state-recovery.path=file://"+checkpoint)
	}
	properties := testkit.WriteFile(f.t, "flink.properties", strings.Join(lines, "\n")+"\n")
	return startApplication(f.t, fmt.Sprintf("job %d", f.starts), f.app.Command(f.t, "-Xmx384m", "FlinkApp", properties))
}

// lastCheckpoint returns the directory of the last complete checkpoint, "" if there is none. The
// numbers of checkpoints continue after a start.
func (f *flinkRun) lastCheckpoint() (dir string) {
	f.t.Helper()
	complete, err := filepath.Glob(filepath.Join(f.dir, "*", "chk-*", "_metadata"))
	if err != nil {
		f.t.Fatal(err)
	}
	last := 0
	for _, path := range complete {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(filepath.Dir(path)), "chk-%d", &n); err != nil {
			f.t.Fatal(err)
		}
		if n > last {
			last, dir = n, filepath.Dir(path)
		}
	}
	return dir
}

func (f *flinkRun) failure() string { return filepath.Join(f.dir, "failure") }

// failTask makes a task fail. Flink starts it again in the same process.
func (f *flinkRun) failTask() {
	f.t.Helper()
	if err := os.WriteFile(f.failure(), nil, 0o644); err != nil {
		f.t.Fatal(err)
	}
}
