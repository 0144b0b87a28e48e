// Package verifiable implements kafka-verifiable-producer and kafka-verifiable-consumer, which print
// their events for test programs.
package verifiable

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ProducerTool is kafka-verifiable-producer.
var ProducerTool = cli.Tool{
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

func runVerifiableProducer(env *cli.Env, args []string) int {
	a := cli.NewArguments(env, "verifiable-producer", "This tool produces increasing integers to a topic and prints a JSON line to stdout for each send, which shows whether the record was acknowledged.")
	topic := a.Add(cli.Argument{Name: "--topic", Metavar: "TOPIC", Required: true, Doc: "The topic to send to."})
	most := a.Add(cli.Argument{Name: "--max-messages", Metavar: "MAX-MESSAGES", Kind: "Integer", Doc: "The number of records to send; -1 to send until the tool is stopped. (default: -1)"})
	throughput := a.Add(cli.Argument{Name: "--throughput", Metavar: "THROUGHPUT", Kind: "Integer", Doc: "The approximate number of records to send per second; -1 for no limit. (default: -1)"})
	acks := a.Add(cli.Argument{Name: "--acks", Metavar: "ACKS", Kind: "Integer", Choices: []string{"0", "1", "-1"}, Doc: "The acknowledgements to wait for: 0 for none, 1 for the leader's, -1 for those of all in-sync replicas. (default: -1)"})
	config := a.Add(cli.Argument{Name: "--producer.config", Metavar: "CONFIG_FILE", Doc: "A properties file for the producer."})
	created := a.Add(cli.Argument{Name: "--message-create-time", Metavar: "CREATETIME", Kind: "Long", Doc: "The timestamp of the first record, in ms since 1970. (default: -1, now)"})
	prefix := a.Add(cli.Argument{Name: "--value-prefix", Metavar: "VALUE-PREFIX", Kind: "Integer", Doc: "A number to put before every value, separated by a dot."})
	keys := a.Add(cli.Argument{Name: "--repeating-keys", Metavar: "REPEATING-KEYS", Kind: "Integer", Doc: "Give records the keys 0 to N-1, repeatedly."})
	bootstrap := a.Add(cli.Argument{Name: "--bootstrap-server", Metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", Doc: "REQUIRED: The brokers to connect to first."})
	brokers := a.Add(cli.Argument{Name: "--broker-list", Metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", Doc: "DEPRECATED: use --bootstrap-server."})
	a.OneOf = []*cli.Argument{bootstrap, brokers}
	return a.Run(args, func() error {
		props := map[string]string{"acks": acks.Or("-1"), "retries": "0"}
		if err := addProperties(props, config.Or("")); err != nil {
			return err
		}
		var more []kgo.Opt
		if created.Number(-1) >= 0 { // the client counts the time of delivery from the record's own
			more = append(more, kgo.RecordDeliveryTimeout(0))
		}
		producer, err := client.OpenTopicProducer(env, bootstrap.Or(brokers.Or("")), topic.Or(""), props, more...)
		if err != nil {
			return err
		}
		p := &verifiableProducer{events: events{env: env}, topic: topic.Or(""), most: most.Number(-1), throughput: throughput.Number(-1),
			keys: keys.Number(0), createTime: created.Number(-1)}
		if prefix.Given() {
			n := prefix.Number(0)
			p.prefix = &n
		}
		p.run(producer)
		return nil
	})
}

// addProperties adds the properties of a file, which take precedence.
func addProperties(props map[string]string, path string) error {
	more, err := client.LoadProperties(path)
	if err != nil {
		return cli.BadArgument(err.Error())
	}
	for key, value := range more {
		props[key] = value
	}
	return nil
}

func (p *verifiableProducer) run(producer *client.TopicProducer) {
	ctx, cancel := p.env.UntilSignal()
	defer cancel()
	began := time.Now()
	p.print("startup_complete")
	rate := client.Throttle{PerSecond: float64(p.throughput), Began: began}
	for i := int64(0); (p.most < 0 || i < p.most) && ctx.Err() == nil; i++ {
		r := &kgo.Record{Topic: p.topic, Key: p.key(i), Value: p.value(i)}
		if p.createTime >= 0 {
			// Like Kafka's tool, add the time since its start again for each record.
			r.Timestamp = time.UnixMilli(p.createTime)
			p.createTime += time.Since(began).Milliseconds()
		}
		p.sent++
		producer.Produce(context.Background(), r, p.done)
		rate.Wait(ctx, i+1)
	}
	_ = producer.Flush(context.Background())
	producer.Client.Close()
	p.print("shutdown_complete")
	seconds := max(time.Since(began).Seconds(), 0.001)
	p.print("tool_data", eventField{"sent", p.sent}, eventField{"acked", p.acked}, eventField{"target_throughput", p.throughput},
		eventField{"avg_throughput", json64(float64(p.acked) / seconds)})
}

// json64 is a number that is formatted like a double in Java's JSON writers.
type json64 float64

func (n json64) MarshalJSON() ([]byte, error) { return []byte(javatext.Double(float64(n))), nil }

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
	p.print("producer_send_error", eventField{"topic", r.Topic}, eventField{"key", key}, eventField{"value", string(r.Value)},
		eventField{"exception", "class " + cli.JavaClass(err)}, eventField{"message", err.Error()})
}
