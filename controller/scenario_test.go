package controller

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/scenarios"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// TestScenarios runs testdata/*.txt. An example is a command, a line ----, and the resulting writes
// to ZooKeeper and requests to brokers, up to an empty line. The commands are:
//
//	config key=value...               must come first: ibp, delete, unclean, rebalance, id
//	start                             the broker starts
//	broker ID [rack=R]                a broker registers
//	kill ID                           a broker's session ends
//	bounce ID                         a broker leaves and registers again unnoticed
//	port ID PORT                      a broker's listener moves to another port
//	topic NAME 0=1,2 1=2,3 [noid]     a topic is created, or partitions are added
//	delete TOPIC                      a topic is marked for deletion
//	answer [ID...]                    all or some brokers answer their requests
//	baddir ID [TP...]                 set the partitions in a failed log directory of a broker
//	logdir ID                         a broker's log_dir_event node is created
//	isrchange TP...                   an isr_change node is created
//	state TP leader=1 epoch=2 isr=1,2 [cepoch=N]   another client writes a state
//	alter ID TP epoch=E version=V isr=1,2 [v=3] [recovering] [be=N]   AlterPartition
//	shutdown ID [be=N]                ControlledShutdown
//	reassign TP=1,2... | TP=cancel    AlterPartitionReassignments
//	list [TP...]                      ListPartitionReassignments
//	elect preferred|unclean [TP...]   ElectLeaders
//	zkelect TP...                     /admin/preferred_replica_election is created
//	zkreassign TP=1,2...              /admin/reassign_partitions is created
//	producerids ID [be=N]             AllocateProducerIds
//	topicconfig TOPIC [key=value]     a topic's configuration changes without a notification
//	unclean [TOPIC]                   unclean elections are enabled
//	steal ID                          another broker becomes the controller
//	dropcontroller                    /controller is deleted
//	expire, newsession                the ZooKeeper session expires, a new one is open
//	restart                           the broker restarts and is elected
//	timers                            all timers fire
//	conflict TP [N]                   the next N writes of the state conflict
//	fail OPERATION moved|invalid|expired   the next call of the store's operation fails
//	garbage-broker ID, garbage-state TP, garbage-topic NAME   a node has invalid data
//	partitions, replicas              print the controller's state
//	zk                                print the states in ZooKeeper
//	COMMAND ; COMMAND                 several changes before the controller processes an event
func TestScenarios(t *testing.T) {
	scenarios.Files(t, "testdata/*.txt", func(t *testing.T) func(string) []string {
		s := &scenario{t: t}
		return func(line string) []string {
			s.run(strings.Fields(line))
			if printed := s.h.take(); printed != "" {
				return []string{printed}
			}
			return nil
		}
	})
}

type scenario struct {
	t testing.TB
	h *harness
}

func (s *scenario) run(words []string) {
	if i := slices.Index(words, ";"); i >= 0 {
		s.do(words[:i])
		s.run(words[i+1:])
		return
	}
	s.do(words)
	s.h.run()
}

func (s *scenario) do(words []string) {
	command, args := words[0], words[1:]
	if s.h == nil {
		s.h = newHarness(s.t, nil)
		if command == "config" {
			s.h = newHarness(s.t, func(c *Config) { configure(s.t, c, args) })
			return
		}
	}
	do, ok := commands[command]
	if !ok {
		s.t.Fatalf("no command %q", command)
	}
	do(s, args)
}

func configure(t testing.TB, c *Config, args []string) {
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "ibp":
			c.IBP = value
		case "delete":
			c.DeleteTopics = value == "true"
		case "unclean":
			c.UncleanElection = value == "true"
		case "rebalance":
			c.AutoRebalance = value == "true"
		case "id":
			c.BrokerID = id(t, value)
		default:
			t.Fatalf("no setting %q", key)
		}
	}
}

var commands = map[string]func(s *scenario, args []string){
	"start":   func(s *scenario, _ []string) { s.h.Put(Startup{}) },
	"restart": func(s *scenario, _ []string) { s.restart() },
	"broker":  func(s *scenario, args []string) { s.h.store.register(s.id(args), option(args, "rack")) },
	"kill":    func(s *scenario, args []string) { s.h.store.unregister(s.id(args)) },
	"bounce": func(s *scenario, args []string) {
		delete(s.h.store.brokers, s.id(args))
		s.h.store.register(s.id(args), "")
	},
	"port": func(s *scenario, args []string) {
		b := s.h.store.brokers[s.id(args)]
		b.Endpoints = slices.Clone(b.Endpoints)
		b.Endpoints[0].Port = number(s.t, args[1])
		s.h.store.brokers[b.ID] = b
		s.h.store.nodeChanged(zkstore.BrokerPath(b.ID))
	},
	"topic":  func(s *scenario, args []string) { s.topic(args) },
	"delete": func(s *scenario, args []string) { s.h.store.markDeletion(args[0]) },
	"answer": func(s *scenario, args []string) { s.h.answer(ids(s.t, args)...) },
	"baddir": func(s *scenario, args []string) {
		bad := map[TopicPartition]bool{}
		for _, tp := range partitions(s.t, args[1:]) {
			bad[tp] = true
		}
		s.h.storage[s.id(args)] = bad
	},
	"logdir": func(s *scenario, args []string) {
		s.h.store.logDirEvents["log_dir_event_0000000000"] = s.id(args)
		s.h.store.childrenChanged(zkstore.LogDirEventsPath)
	},
	"isrchange": func(s *scenario, args []string) {
		s.h.store.isrChanges["isr_change_0000000000"] = partitions(s.t, args)
		s.h.store.childrenChanged(zkstore.ISRChangesPath)
	},
	"state":    func(s *scenario, args []string) { s.writeState(args) },
	"alter":    func(s *scenario, args []string) { s.alter(args) },
	"shutdown": func(s *scenario, args []string) { s.shutdown(args) },
	"reassign": func(s *scenario, args []string) { s.reassign(args) },
	"list":     func(s *scenario, args []string) { s.list(args) },
	"elect":    func(s *scenario, args []string) { s.elect(args) },
	"zkelect": func(s *scenario, args []string) {
		s.h.store.preferred = partitions(s.t, args)
		s.h.store.nodeCreated(zkstore.PreferredElectionPath)
	},
	"zkreassign": func(s *scenario, args []string) {
		s.h.store.reassignments = targets(s.t, args)
		s.h.store.nodeCreated(zkstore.ReassignPartitionsPath)
	},
	"producerids": func(s *scenario, args []string) { s.producerIDs(args) },
	"topicconfig": func(s *scenario, args []string) { s.topicConfig(args) },
	"unclean":     func(s *scenario, args []string) { s.unclean(args) },
	"steal":       func(s *scenario, args []string) { s.h.store.stealController(s.id(args)) },
	"dropcontroller": func(s *scenario, _ []string) {
		s.h.store.dropController()
	},
	"expire": func(s *scenario, _ []string) {
		s.h.store.expired = true
		s.h.store.controller = nil
		s.h.Put(Expire{})
	},
	"newsession": func(s *scenario, _ []string) { s.h.Put(RegisterBrokerAndReelect{}) },
	"timers":     func(s *scenario, _ []string) { s.h.fire() },
	"conflict": func(s *scenario, args []string) {
		n := 1
		if len(args) > 1 {
			n = int(number(s.t, args[1]))
		}
		s.h.store.conflicts[partitions(s.t, args[:1])[0]] = n
	},
	"fail": func(s *scenario, args []string) {
		s.h.store.fail[args[0]] = map[string]error{"moved": zkstore.ErrControllerMoved, "invalid": zkstore.ErrInvalidNode, "expired": zkstore.ErrSessionExpired}[args[1]]
	},
	"garbage-broker": func(s *scenario, args []string) {
		s.h.store.invalidBrokers[s.id(args)] = true
		s.h.store.childrenChanged(zkstore.BrokerIDsPath)
	},
	"garbage-state": func(s *scenario, args []string) {
		for _, tp := range partitions(s.t, args) {
			s.h.store.invalidStates[tp] = true
		}
	},
	"garbage-topic": func(s *scenario, args []string) { s.h.store.putTopic(zkstore.TopicNode{Name: args[0]}) },
	"partitions":    func(s *scenario, _ []string) { s.partitions() },
	"replicas":      func(s *scenario, _ []string) { s.replicas() },
	"zk": func(s *scenario, _ []string) {
		for _, tp := range sortedPartitions(s.h.store.states) {
			s.h.note("%s", s.h.leadership(tp))
		}
	},
}

func (s *scenario) id(args []string) metadata.BrokerID { return id(s.t, args[0]) }

func (s *scenario) restart() {
	s.h.events, s.h.timers = nil, nil
	clear(s.h.queues)
	s.h.store.controller = nil
	s.h.store.children, s.h.store.nodes = map[string]func(){}, map[string]zkstore.NodeWatch{}
	s.h.boot()
	s.h.Put(Startup{})
}

func (s *scenario) topic(args []string) {
	t := topicNode(args[0])
	if old, exists := s.h.store.topics[args[0]]; exists {
		t = old
		t.Partitions = map[int32]zkstore.Assignment{}
		for i, a := range old.Partitions {
			t.Partitions[i] = a
		}
	}
	for _, arg := range args[1:] {
		if arg == "noid" {
			t.ID = TopicID{}
			continue
		}
		index, list, _ := strings.Cut(arg, "=")
		t.Partitions[number(s.t, index)] = replicas(idList(s.t, list)...)
	}
	s.h.store.putTopic(t)
}

func (s *scenario) writeState(args []string) {
	tp := partitions(s.t, args[:1])[0]
	st := s.h.store.states[tp]
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "leader":
			st.Leader = id(s.t, value)
		case "epoch":
			st.LeaderEpoch = metadata.LeaderEpoch(number(s.t, value))
		case "cepoch":
			st.ControllerEpoch = metadata.ControllerEpoch(number(s.t, value))
		case "isr":
			st.ISR = idList(s.t, value)
		}
	}
	s.h.store.putState(tp, st)
}

func (s *scenario) brokerEpoch(args []string) int64 {
	if text := option(args, "be"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	return s.h.store.brokers[s.id(args)].Epoch
}

func (s *scenario) alter(args []string) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	if v := option(args, "v"); v != "" {
		req.Version = int16(number(s.t, v))
	}
	req.BrokerID, req.BrokerEpoch = int32(s.id(args)), s.brokerEpoch(args)
	tp := partitions(s.t, args[1:2])[0]
	topic := kmsg.NewAlterPartitionRequestTopic()
	topic.Topic = tp.Topic
	topic.TopicID = s.h.store.topics[tp.Topic].ID
	p := kmsg.NewAlterPartitionRequestTopicPartition()
	p.Partition = tp.Partition
	p.LeaderEpoch, p.PartitionEpoch = number(s.t, option(args, "epoch")), number(s.t, option(args, "version"))
	p.NewISR = metadata.Int32s(idList(s.t, option(args, "isr")))
	for _, id := range p.NewISR {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = id, -1
		p.NewEpochISR = append(p.NewEpochISR, member)
	}
	if slices.Contains(args, "recovering") {
		p.LeaderRecoveryState = 1
	}
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	s.h.Put(alterPartition{req, func(resp *kmsg.AlterPartitionResponse) {
		s.h.note("answer v%d: %s", resp.Version, codeName(resp.ErrorCode))
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				s.h.note("  %d %s leader=%d epoch=%d isr=%s v%d recovery=%d", p.Partition, codeName(p.ErrorCode), p.LeaderID, p.LeaderEpoch, javatext.Join(p.ISR, ","), p.PartitionEpoch, p.LeaderRecoveryState)
			}
		}
	}})
}

func (s *scenario) shutdown(args []string) {
	s.h.Put(controlledShutdown{s.id(args), s.brokerEpoch(args), func(remaining []TopicPartition, err error) {
		s.h.note("answer: %s remaining=%s", errorText(err), javatext.Join(remaining, ","))
	}})
}

func (s *scenario) reassign(args []string) {
	Requests{s.h}.AlterPartitionReassignments(targets(s.t, args), func(results map[TopicPartition]error, err error) {
		s.h.note("answer: %s", errorText(err))
		for _, tp := range sortedPartitions(results) {
			s.h.note("  %s %s", tp.String(), errorText(results[tp]))
		}
	})
}

func (s *scenario) list(args []string) {
	s.h.Put(listReassignments{partitions(s.t, args), func(running map[TopicPartition]zkstore.Assignment, err error) {
		s.h.note("answer: %s", errorText(err))
		for _, tp := range sortedPartitions(running) {
			s.h.note("  %s %s", tp.String(), assignmentText(running[tp]))
		}
	}})
}

func (s *scenario) elect(args []string) {
	kind := ElectPreferred
	if args[0] == "unclean" {
		kind = ElectUnclean
	}
	s.h.Put(electionRequest{partitions(s.t, args[1:]), kind, adminTriggered, func(results map[TopicPartition]ElectionResult, err error) {
		s.h.note("answer: %s", errorText(err))
		for _, tp := range sortedPartitions(results) {
			s.h.note("  %s leader=%d %s", tp.String(), results[tp].Leader, errorText(results[tp].Err))
		}
	}})
}

func (s *scenario) producerIDs(args []string) {
	s.h.Put(allocateProducerIDs{s.id(args), s.brokerEpoch(args), func(start int64, count int32, err error) {
		s.h.note("answer: %s start=%d count=%d", errorText(err), start, count)
	}})
}

func (s *scenario) unclean(args []string) {
	if len(args) == 0 {
		s.h.Put(uncleanElectionEnabled{true})
		return
	}
	s.h.store.configs[args[0]] = map[string]string{uncleanElectionKey: "true"}
	s.h.Put(topicUncleanElectionEnabled{args[0]})
}

func (s *scenario) topicConfig(args []string) {
	config := map[string]string{}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		config[key] = value
	}
	s.h.store.configs[args[0]] = config
}

func (s *scenario) partitions() {
	s.h.m.c.each(func(tp TopicPartition, p *partitionContext) {
		text := "none"
		if p.leadership != nil {
			text = fmt.Sprintf("v%d leader=%d epoch=%d isr=%s", p.leadership.Version, p.leadership.Leader, p.leadership.LeaderEpoch, javatext.Join(p.leadership.ISR, ","))
		}
		s.h.note("%s %s %s %s", tp.String(), p.state, assignmentText(p.assignment), text)
	})
}

func (s *scenario) replicas() {
	s.h.m.c.each(func(tp TopicPartition, p *partitionContext) {
		for _, id := range p.assignment.Replicas {
			s.h.note("%s on %d %s", tp.String(), id, p.replicas[id])
		}
	})
}

func option(args []string, key string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, key+"="); ok {
			return value
		}
	}
	return ""
}

func number(t testing.TB, text string) int32 {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

func id(t testing.TB, text string) metadata.BrokerID { return metadata.BrokerID(number(t, text)) }

func ids(t testing.TB, args []string) []metadata.BrokerID {
	var list []metadata.BrokerID
	for _, arg := range args {
		list = append(list, id(t, arg))
	}
	return list
}

func idList(t testing.TB, text string) []metadata.BrokerID {
	if text == "" {
		return []metadata.BrokerID{}
	}
	return ids(t, strings.Split(text, ","))
}

func partitions(t testing.TB, args []string) []TopicPartition {
	var list []TopicPartition
	for _, arg := range args {
		i := strings.LastIndexByte(arg, '-')
		if i < 0 {
			t.Fatalf("%q is not topic-partition", arg)
		}
		list = append(list, tp(arg[:i], number(t, arg[i+1:])))
	}
	return list
}

func targets(t testing.TB, args []string) map[TopicPartition][]metadata.BrokerID {
	m := map[TopicPartition][]metadata.BrokerID{}
	for _, arg := range args {
		name, list, _ := strings.Cut(arg, "=")
		key := partitions(t, []string{name})[0]
		if m[key] = nil; list != "cancel" {
			m[key] = idList(t, list)
		}
	}
	return m
}
