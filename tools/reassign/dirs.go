package reassign

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Moves of replicas between the log directories of a broker.

// replicaDirs are the directory of a replica and the directory that it is being moved to. Each is
// "" if there is none.
type replicaDirs struct{ current, future string }

// dirsOf asks the brokers for the directories of the wanted replicas. Here and below, wanted has
// the target directory of each replica.
func (r *reassigner) dirsOf(wanted map[replica]string) (map[replica]replicaDirs, error) {
	byBroker := map[metadata.BrokerID][]client.TopicPartition{}
	found := map[replica]replicaDirs{}
	for _, one := range sortedReplicas(wanted) {
		byBroker[one.broker] = append(byBroker[one.broker], one.TopicPartition)
		found[one] = replicaDirs{}
	}
	for broker, partitions := range byBroker {
		req := kmsg.NewPtrDescribeLogDirsRequest()
		for topic, numbers := range client.ByTopic(partitions) {
			t := kmsg.NewDescribeLogDirsRequestTopic()
			t.Topic, t.Partitions = topic, numbers
			req.Topics = append(req.Topics, t)
		}
		resp, err := r.Send("describeReplicaLogDirs", client.BrokerNamed(broker), req, 4, nil)
		if err != nil {
			return nil, client.Execution(err)
		}
		for _, dir := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
			switch code := protocol.ErrorCode(dir.ErrorCode); code {
			case protocol.None:
			case protocol.KafkaStorageError:
				continue
			default:
				return nil, client.Execution(cli.NewJavaError("java.lang.IllegalStateException",
					fmt.Sprintf("The error %s for log directory %s in the response from broker %d is illegal", cli.JavaClass(code), dir.Dir, broker)))
			}
			for _, t := range dir.Topics {
				for _, p := range t.Partitions {
					one := replica{client.TopicPartition{Topic: t.Topic, Partition: p.Partition}, broker}
					dirs, asked := found[one]
					if !asked {
						continue
					}
					if p.IsFuture {
						dirs.future = dir.Dir
					} else {
						dirs.current = dir.Dir
					}
					found[one] = dirs
				}
			}
		}
	}
	return found, nil
}

// verifyDirs prints the progress of the moves, one line each, and reports whether any is running.
func (r *reassigner) verifyDirs(wanted map[replica]string) (running bool, err error) {
	found, err := r.dirsOf(wanted)
	if err != nil {
		return false, err
	}
	if len(wanted) == 0 {
		r.say("\n")
	}
	for _, one := range sortedReplicas(wanted) {
		dirs, target := found[one], wanted[one]
		switch {
		case dirs.current == "":
			r.say("Partition %s is not found in any live log dir on broker %d. There is likely an offline log directory on the broker.\n", one.TopicPartition, one.broker)
		case dirs.future == "" && dirs.current == target:
			r.say("Reassignment of replica %s completed successfully.\n", one)
		case dirs.future == "":
			r.say("Partition %s on broker %d is not being moved from log dir %s to %s.\n", one.TopicPartition, one.broker, dirs.current, target)
		case dirs.future == target:
			running = true
			r.say("Reassignment of replica %s is still in progress.\n", one)
		default:
			running = true
			r.say("Partition %s on broker %d is being moved to log dir %s instead of %s.\n", one.TopicPartition, one.broker, dirs.future, target)
		}
	}
	return running, nil
}

// cancelDirs cancels the moves in progress by moving the replicas to their current directories.
func (r *reassigner) cancelDirs(wanted map[replica]string) error {
	found, err := r.dirsOf(wanted)
	if err != nil {
		return err
	}
	back := map[replica]string{}
	for one, dirs := range found {
		if dirs.current != "" && dirs.future != "" {
			back[one] = dirs.current
		}
	}
	if len(back) == 0 {
		r.say("None of the specified partition moves are active.") // without a newline, like Kafka's tool
		return nil
	}
	return r.moveDirs(back)
}

// moveDirs asks brokers to move replicas until each move has started. It retries because a replica
// that is new on its broker does not exist immediately.
func (r *reassigner) moveDirs(wanted map[replica]string) error {
	deadline := time.Now().Add(cli.Millis(r.patience))
	pending := map[replica]string{}
	for one, dir := range wanted {
		pending[one] = dir
	}
	for {
		begun, err := r.alterDirs(pending)
		if err != nil {
			return err
		}
		for _, one := range sortedReplicas(begun) {
			r.say("Successfully started moving log directory to %s for replica %s-%d with broker %d \n", pending[one], one.Topic, one.Partition, one.broker)
			delete(pending, one)
		}
		if len(pending) == 0 {
			return nil
		}
		if !time.Now().Before(deadline) {
			text := ""
			for i, one := range sortedReplicas(pending) {
				if i > 0 {
					text += ","
				}
				text += one.String()
			}
			return cli.PlainFailure{Text: fmt.Sprintf("Timed out before log directory move%s could be started for: %s", plural(len(pending)), text)}
		}
		time.Sleep(client.RetryPause)
	}
}

// alterDirs sends the requests once and returns the replicas whose moves have started.
func (r *reassigner) alterDirs(wanted map[replica]string) (map[replica]bool, error) {
	byBroker := map[metadata.BrokerID]map[string][]client.TopicPartition{}
	for one, dir := range wanted {
		if byBroker[one.broker] == nil {
			byBroker[one.broker] = map[string][]client.TopicPartition{}
		}
		byBroker[one.broker][dir] = append(byBroker[one.broker][dir], one.TopicPartition)
	}
	begun := map[replica]bool{}
	for broker, dirs := range byBroker {
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		for dir, partitions := range dirs {
			d := kmsg.NewAlterReplicaLogDirsRequestDir()
			d.Dir = dir
			for topic, numbers := range client.ByTopic(partitions) {
				t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
				t.Topic, t.Partitions = topic, numbers
				d.Topics = append(d.Topics, t)
			}
			req.Dirs = append(req.Dirs, d)
		}
		failed := func(one replica, err error) error {
			return cli.WithCause(cli.CommandFailed("Failed to alter dir for %s", one), client.Execution(err))
		}
		resp, err := r.Send("alterReplicaLogDirs", client.BrokerNamed(broker), req, 2, nil)
		if err != nil {
			for _, one := range sortedReplicas(wanted) {
				if one.broker == broker {
					return nil, failed(one, err)
				}
			}
		}
		for _, t := range resp.(*kmsg.AlterReplicaLogDirsResponse).Topics {
			for _, p := range t.Partitions {
				one := replica{client.TopicPartition{Topic: t.Topic, Partition: p.Partition}, broker}
				switch code := protocol.ErrorCode(p.ErrorCode); code {
				case protocol.None:
					begun[one] = true
				case protocol.ReplicaNotAvailable:
				default:
					return nil, failed(one, code)
				}
			}
		}
	}
	return begun, nil
}
