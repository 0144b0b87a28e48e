package tools

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/protocol"
)

var verifiableProducerTool = Tool{
	Name:    "kafka-verifiable-producer",
	Summary: "Produces increasing integers and prints the result of each send.",
	Run:     runVerifiableProducer,
}

// verifiableProducer is one run of the tool.
type verifiableProducer struct {
	events
	topic       string
	most        int64 // negative: no limit
	throughput  int64
	prefix      *int64 // put before every value, separated by a dot
	keys        int64  // keys cycle from 0 to keys-1; 0: no keys
	createTime  int64  // of the next record, in ms since 1970; negative: now
	sent, acked int64  // acked is written by a goroutine of the client and read after the client is closed
}

func runVerifiableProducer(env *Env, args []string) int {
	a := newArguments(env, "verifiable-producer", "This tool produces increasing integers to a topic and prints a JSON line to stdout for each send, which shows whether the record was acknowledged.")
	topic := a.add(argument{name: "--topic", metavar: "TOPIC", required: true, doc: "The topic to send to."})
	most := a.add(argument{name: "--max-messages", metavar: "MAX-MESSAGES", kind: "Integer", doc: "The number of records to send; -1 to send until the tool is stopped. (default: -1)"})
	throughput := a.add(argument{name: "--throughput", metavar: "THROUGHPUT", kind: "Integer", doc: "The approximate number of records to send per second; -1 for no limit. (default: -1)"})
	acks := a.add(argument{name: "--acks", metavar: "ACKS", kind: "Integer", choices: []string{"0", "1", "-1"}, doc: "The acknowledgements to wait for: 0 for none, 1 for the leader's, -1 for those of all in-sync replicas. (default: -1)"})
	config := a.add(argument{name: "--producer.config", metavar: "CONFIG_FILE", doc: "A properties file for the producer."})
	created := a.add(argument{name: "--message-create-time", metavar: "CREATETIME", kind: "Long", doc: "The timestamp of the first record, in ms since 1970. (default: -1, now)"})
	prefix := a.add(argument{name: "--value-prefix", metavar: "VALUE-PREFIX", kind: "Integer", doc: "A number to put before every value, separated by a dot."})
	keys := a.add(argument{name: "--repeating-keys", metavar: "REPEATING-KEYS", kind: "Integer", doc: "Give records the keys 0 to N-1, repeatedly."})
	bootstrap := a.add(argument{name: "--bootstrap-server", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", doc: "REQUIRED: The brokers to connect to first."})
	brokers := a.add(argument{name: "--broker-list", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", doc: "DEPRECATED: use --bootstrap-server."})
	a.oneOf = []*argument{bootstrap, brokers}
	return a.run(args, func() error {
		props := map[string]string{"acks": acks.or("-1"), "retries": "0"}
		if err := addProperties(props, config.or("")); err != nil {
			return err
		}
		var more []kgo.Opt
		if created.number(-1) >= 0 { // the client counts the time of delivery from the record's own
			more = append(more, kgo.RecordDeliveryTimeout(0))
		}
		producer, err := openTopicProducer(env, bootstrap.or(brokers.or("")), topic.or(""), props, more...)
		if err != nil {
			return err
		}
		p := &verifiableProducer{events: events{env: env}, topic: topic.or(""), most: most.number(-1), throughput: throughput.number(-1),
			keys: keys.number(0), createTime: created.number(-1)}
		if prefix.given() {
			n := prefix.number(0)
			p.prefix = &n
		}
		p.run(producer)
		return nil
	})
}

// addProperties adds the properties of a file, which take precedence.
func addProperties(props map[string]string, path string) error {
	more, err := loadProperties(path)
	if err != nil {
		return badArgument(err.Error())
	}
	for key, value := range more {
		props[key] = value
	}
	return nil
}

func (p *verifiableProducer) run(producer *topicProducer) {
	ctx, cancel := p.env.untilSignal()
	defer cancel()
	began := time.Now()
	p.print("startup_complete")
	rate := throttle{perSecond: float64(p.throughput), began: began}
	for i := int64(0); (p.most < 0 || i < p.most) && ctx.Err() == nil; i++ {
		r := &kgo.Record{Topic: p.topic, Key: p.key(i), Value: p.value(i)}
		if p.createTime >= 0 {
			// Like Kafka's tool, add the time since its start again for each record.
			r.Timestamp = time.UnixMilli(p.createTime)
			p.createTime += time.Since(began).Milliseconds()
		}
		p.sent++
		producer.produce(context.Background(), r, p.done)
		rate.wait(ctx, i+1)
	}
	_ = producer.flush(context.Background())
	producer.client.Close()
	p.print("shutdown_complete")
	seconds := max(time.Since(began).Seconds(), 0.001)
	p.print("tool_data", eventField{"sent", p.sent}, eventField{"acked", p.acked}, eventField{"target_throughput", p.throughput},
		eventField{"avg_throughput", json64(float64(p.acked) / seconds)})
}

// json64 is a number that is formatted like a double in Java's JSON writers.
type json64 float64

func (n json64) MarshalJSON() ([]byte, error) { return []byte(javaFloat(float64(n), 64)), nil }

func (p *verifiableProducer) key(i int64) []byte {
	if p.keys <= 0 {
		return nil
	}
	return strconv.AppendInt(nil, i%p.keys, 10)
}

func (p *verifiableProducer) value(i int64) []byte {
	if p.prefix != nil {
		return fmt.Appendf(nil, "%d.%d", *p.prefix, i)
	}
	return strconv.AppendInt(nil, i, 10)
}

// done prints the result of a send. The client calls it for one record at a time.
func (p *verifiableProducer) done(r *kgo.Record, err error) {
	var key any
	if r.Key != nil {
		key = string(r.Key)
	}
	if err == nil {
		p.acked++
		p.print("producer_send_success", eventField{"key", key}, eventField{"value", string(r.Value)}, eventField{"offset", r.Offset}, eventField{"topic", r.Topic}, eventField{"partition", r.Partition})
		return
	}
	err = fromKgo(err)
	text := err.Error()
	if protocol.CodeOf(err) == protocol.InvalidTopicException {
		text = "Invalid topics: [" + r.Topic + "]"
		p.env.logger("org.apache.kafka.clients.Metadata").Errorf("[Producer clientId=producer-1] Metadata response reported invalid topics [%s]", r.Topic)
	}
	p.print("producer_send_error", eventField{"topic", r.Topic}, eventField{"key", key}, eventField{"value", string(r.Value)},
		eventField{"exception", "class " + javaClass(err)}, eventField{"message", text})
}
