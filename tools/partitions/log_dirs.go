package partitions

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// LogDirsTool is kafka-log-dirs.
var LogDirsTool = cli.Tool{
	Name:    "kafka-log-dirs",
	Summary: "Shows the contents of the log directories of brokers.",
	Run:     runLogDirs,
}

const logDirsSummary = "This tool helps to query log directory usage on the specified brokers."

func runLogDirs(env *cli.Env, args []string) int {
	o := cli.NewOptions(env, "kafka-log-dirs", logDirsSummary)
	o.Exact = true
	bootstrap := o.Value("bootstrap-server", "String: The server(s) to use for bootstrapping", "REQUIRED: The brokers to connect to first, as host:port,host:port.")
	config := o.Value("command-config", "String: Admin client property file", "A properties file for the admin client.")
	describe := o.Toggle("describe", "Show the log directories.")
	topics := o.Value("topic-list", "String: Topic list", "The topics to show, as topic1,topic2. (default: all topics)")
	brokers := o.Value("broker-list", "String: Broker list", "The brokers to query, as 0,1,2. (default: all brokers)")
	o.Output()
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: logDirsSummary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.Require(bootstrap, describe)
	}
	if errors.As(err, new(cli.UsageError)) || errors.Is(err, cli.ErrDone) {
		return o.Fail(err)
	}
	if err == nil {
		err = o.CheckSingle()
	}
	if err == nil {
		err = describeLogDirs(o, logDirsOptions{bootstrap: bootstrap.Or(""), config: config.Or(""),
			topics: topics.Or(""), brokers: brokers.Or("")})
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(cli.PlainFailure)):
		env.Complainf("%s", err)
	default:
		env.ComplainWithStack(err)
	}
	return 1
}

// logDirsOptions are the values of the options, "" for none.
type logDirsOptions struct{ bootstrap, config, topics, brokers string }

func describeLogDirs(line *cli.Options, o logDirsOptions) error {
	env := line.Env
	admin, err := client.NewAdmin(env, "log-dirs-tool", o.bootstrap, o.config, client.AdminTimeout)
	if err != nil {
		return err
	}
	defer admin.Close()
	nodes, err := admin.Nodes()
	if err != nil {
		return client.Execution(err)
	}
	var existing, wanted, absent []metadata.BrokerID
	for _, node := range nodes {
		existing = append(existing, metadata.BrokerID(node.NodeID))
	}
	for _, text := range nonEmpty(o.brokers) {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return cli.NewJavaError("java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", text))
		}
		wanted = append(wanted, metadata.BrokerID(id))
	}
	wanted = javatext.HashMapOrder(client.Distinct(wanted), javatext.IntHash)
	if len(wanted) == 0 {
		wanted = existing
	}
	for _, id := range wanted {
		if !slices.Contains(existing, id) {
			absent = append(absent, id)
		}
	}
	if len(absent) > 0 {
		return cli.PlainFailure{Text: fmt.Sprintf("ERROR: The given brokers do not exist from --broker-list: %s. Current existent brokers: %s", javatext.Join(absent, ","), javatext.Join(existing, ","))}
	}
	env.Println("Querying brokers for log directories information")
	report := logDirsReport{Version: 1}
	for _, id := range wanted {
		broker, err := logDirsOf(admin, id, nonEmpty(o.topics))
		if err != nil {
			return client.Execution(err)
		}
		report.Brokers = append(report.Brokers, broker)
	}
	env.Printf("Received log directory information from brokers %s\n", javatext.Join(wanted, ","))
	if line.WantsDocument() {
		line.PrintDocument(report)
	} else {
		env.Println(cli.CompactJSON(report))
	}
	return nil
}

func nonEmpty(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

// The members of the report are in the order of the hash tables of Kafka's tool.
type (
	logDirsReport struct {
		Brokers []brokerDirs `json:"brokers"`
		Version int          `json:"version"`
	}
	brokerDirs struct {
		Broker  metadata.BrokerID `json:"broker"`
		LogDirs []logDir          `json:"logDirs"`
	}
	logDir struct {
		Partitions []dirPartition `json:"partitions"`
		Error      *string        `json:"error"`
		LogDir     string         `json:"logDir"`
	}
	dirPartition struct {
		Partition string `json:"partition"`
		Size      int64  `json:"size"`
		OffsetLag int64  `json:"offsetLag"`
		IsFuture  bool   `json:"isFuture"`
	}
)

// logDirsOf returns the log directories of a broker, with the partitions of the given topics, or of
// all topics if topics is empty.
func logDirsOf(c *client.Admin, id metadata.BrokerID, topics []string) (brokerDirs, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = nil
	resp, err := c.Send("describeLogDirs", client.BrokerNamed(id), req, 4, nil)
	if err != nil {
		return brokerDirs{}, err
	}
	answer := resp.(*kmsg.DescribeLogDirsResponse)
	if answer.ErrorCode != 0 {
		return brokerDirs{}, protocol.ErrorCode(answer.ErrorCode)
	}
	broker := brokerDirs{Broker: id, LogDirs: []logDir{}}
	for _, d := range javatext.HashMapOrder(answer.Dirs, func(d kmsg.DescribeLogDirsResponseDir) int32 { return javatext.StringHash(d.Dir) }) {
		dir := logDir{Partitions: []dirPartition{}, LogDir: d.Dir}
		if d.ErrorCode != 0 {
			class := "org.apache.kafka.common.errors." + protocol.ErrorCode(d.ErrorCode).Exception()
			dir.Error = &class
		}
		found := map[client.TopicPartition]dirPartition{}
		for _, t := range d.Topics {
			if len(topics) > 0 && !slices.Contains(topics, t.Topic) {
				continue
			}
			for _, p := range t.Partitions {
				tp := client.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				found[tp] = dirPartition{tp.String(), p.Size, p.OffsetLag, p.IsFuture}
			}
		}
		for _, tp := range javatext.HashMapOrder(client.SortedPartitions(found), client.PartitionHash) {
			dir.Partitions = append(dir.Partitions, found[tp])
		}
		broker.LogDirs = append(broker.LogDirs, dir)
	}
	return broker, nil
}
