package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// clusterFacts are what one broker knows about the cluster.
type clusterFacts struct {
	link       *peerlink.Link // to the first bootstrap server that answered; nil: none did
	seed       string         // its address
	id         string
	controller metadata.BrokerID // metadata.NoBroker: none
	topics     []kmsg.MetadataResponseTopic
	minISR     map[string]int // min.insync.replicas by topic
	groups     []*groupFacts
	moving     int // partitions that are being reassigned; -1: not known
	// open are the partitions with records of an unfinished transaction at both looks.
	open         []openTransaction
	transactions []transactionFacts
}

// adopt takes the facts of a response to a Metadata request.
func (c *clusterFacts) adopt(r *reach) {
	c.link, c.seed = r.link, r.address
	c.controller = metadata.BrokerID(r.metadata.ControllerID)
	if r.metadata.ClusterID != nil {
		c.id = *r.metadata.ClusterID
	}
	c.topics = slices.DeleteFunc(r.metadata.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic == nil })
	slices.SortFunc(c.topics, func(a, b kmsg.MetadataResponseTopic) int { return strings.Compare(*a.Topic, *b.Topic) })
}

// brokerFacts are what is known of a broker.
type brokerFacts struct {
	id      metadata.BrokerID
	rack    string
	reach   *reach // of the address that it advertises
	other   bool   // another broker answers at the address
	configs map[string]string
	dirs    []logDir
}

func (b *brokerFacts) subject() string { return fmt.Sprintf("broker %d", b.id) }

// logDir is a log directory of a broker.
type logDir struct {
	path          string
	failed        protocol.ErrorCode
	total, usable int64 // of the file system, in bytes; -1: not known
	used          int64 // by logs, in bytes
}

// examineBrokers reaches the brokers at the addresses that they advertise.
func (e *examination) examineBrokers(ctx context.Context) {
	if e.cluster.link == nil {
		return
	}
	var all sync.WaitGroup
	for _, seed := range e.seeds {
		if seed.address != e.cluster.seed {
			continue
		}
		for _, b := range seed.metadata.Brokers {
			facts := &brokerFacts{id: metadata.BrokerID(b.NodeID)}
			if b.Rack != nil {
				facts.rack = *b.Rack
			}
			e.brokers = append(e.brokers, facts)
			all.Go(func() {
				facts.reach = e.reach(ctx, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
				if facts.reach.isBroker() {
					facts.ask(ctx)
				}
			})
		}
	}
	all.Wait()
	slices.SortFunc(e.brokers, func(a, b *brokerFacts) int { return int(a.id) - int(b.id) })
}

// ask asks a broker for its configuration and its log directories.
func (b *brokerFacts) ask(ctx context.Context) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(b.id))
	req.Resources = append(req.Resources, resource)
	if resp, err := ask[*kmsg.DescribeConfigsResponse](ctx, b.reach.link, req, 4); err == nil && len(resp.Resources) == 1 {
		r := resp.Resources[0]
		// A broker refuses to describe another one.
		b.other = protocol.ErrorCode(r.ErrorCode) == protocol.InvalidRequest
		if r.ErrorCode == 0 {
			b.configs = map[string]string{}
			for _, c := range r.Configs {
				if c.Value != nil {
					b.configs[c.Name] = *c.Value
				}
			}
		}
	}
	dirs, err := ask[*kmsg.DescribeLogDirsResponse](ctx, b.reach.link, kmsg.NewPtrDescribeLogDirsRequest(), 4)
	if err != nil {
		return
	}
	for _, d := range dirs.Dirs {
		dir := logDir{path: d.Dir, failed: protocol.ErrorCode(d.ErrorCode), total: d.TotalBytes, usable: d.UsableBytes}
		if dirs.Version < 4 {
			dir.total, dir.usable = -1, -1
		}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				dir.used += p.Size
			}
		}
		b.dirs = append(b.dirs, dir)
	}
}

// number returns a number of the broker's configuration.
func (b *brokerFacts) number(key string) (int, bool) {
	n, err := strconv.Atoi(b.configs[key])
	return n, err == nil
}

// config returns the value of a key on the first broker that reported it.
func (e *examination) config(key string) string {
	for _, b := range e.brokers {
		if text, known := b.configs[key]; known {
			return text
		}
	}
	return ""
}

// diagnoseBrokers explains addresses that lead nowhere or to another broker.
func (e *examination) diagnoseBrokers() {
	for _, b := range e.brokers {
		r := b.reach
		switch {
		case b.other:
			e.error(conclusion{"wrong-broker", b.subject(), fmt.Sprintf("another broker answers at the address that it advertises (%s%s)", r.address, r.resolved()),
				"Two brokers advertise one address, or a load balancer or port mapping leads to the wrong one.",
				"Give each broker an address of its own in advertised.listeners."})
		case r.isBroker():
			e.diagnoseLoopback(b)
		default:
			e.diagnoseAdvertised(b)
		}
	}
	e.diagnoseLocal()
}

// diagnoseLocal finds clusters that only clients on this machine can use.
func (e *examination) diagnoseLocal() {
	if len(e.brokers) < 2 || slices.ContainsFunc(e.brokers, func(b *brokerFacts) bool { return !isLoopback(b.reach.host()) }) {
		return
	}
	e.remark(conclusion{"advertised-loopback", "cluster", "all brokers advertise loopback addresses, so only clients on this machine can use them", "",
		"If others are to use them, set advertised.listeners to the name or address of the machine."})
}

// diagnoseAdvertised explains a broker that the bootstrap server names but that is not reached.
func (e *examination) diagnoseAdvertised(b *brokerFacts) {
	r := b.reach
	why := e.unreachable(r, b.subject())
	seed, _, _ := net.SplitHostPort(e.cluster.seed)
	switch {
	case r.speaks != "", r.failure == client.ClosedEarly, r.failure == client.NotABroker, r.failure == client.TimedOut && !isDial(r.err):
		why.text = fmt.Sprintf("at the address that it advertises, %s, %s", r.address, why.text)
		e.error(why)
		return
	case r.failure == client.Refused && r.host() == seed:
		e.error(conclusion{"broker-down", b.subject(), fmt.Sprintf("the connection to the address that it advertises, %s, is refused", r.address),
			"The broker has just stopped, and its session with ZooKeeper has not expired yet; or it advertises a port on which nothing listens.",
			"Start it and look at its server.log, or correct the port in advertised.listeners."})
		return
	}
	c := conclusion{subject: b.subject(), code: "advertised-unreachable",
		text: fmt.Sprintf("clients cannot connect to the address that it advertises, %s: %s", r.address, why.text)}
	c.cause = fmt.Sprintf("%s answered, and clients then connect to the addresses in its metadata, which come from advertised.listeners. ", e.cluster.seed)
	switch {
	case isLoopback(r.host()):
		c.cause += fmt.Sprintf("%s means this machine itself, where no broker listens.", r.host())
	case r.failure == client.UnknownHost:
		c.cause += "The broker advertises a name that is known in its own network only, such as the name of a container."
	default:
		c.cause += why.cause
	}
	c.remedy = fmt.Sprintf("Set advertised.listeners of broker %d to an address that is reached from here, such as PLAINTEXT://%s, and restart it. "+
		"If the broker is down, start it.", b.id, e.betterAddress(r))
	e.error(c)
}

// betterAddress returns the host of the bootstrap server with the port of r.
func (e *examination) betterAddress(r *reach) string {
	host, _, err := net.SplitHostPort(e.cluster.seed)
	_, port, err2 := net.SplitHostPort(r.address)
	if err != nil || err2 != nil {
		return "HOST:PORT"
	}
	return net.JoinHostPort(host, port)
}

// diagnoseLoopback finds brokers that only clients on their own machine reach.
func (e *examination) diagnoseLoopback(b *brokerFacts) {
	r := b.reach
	seed, _, _ := net.SplitHostPort(e.cluster.seed)
	switch {
	case !isLoopback(r.host()):
		if i := slices.IndexFunc(r.ips, isLoopback); i >= 0 {
			e.warn(conclusion{"name-is-loopback", b.subject(), fmt.Sprintf("the name %s resolves to %s here, which only this machine reaches", r.host(), r.ips[i]),
				"/etc/hosts maps the machine's own name to a loopback address, as Debian does. The other brokers may resolve it to something else.",
				"Map the name to the address of the machine in /etc/hosts."})
		}
	case !isLoopback(seed):
		e.error(conclusion{"advertised-loopback", b.subject(), fmt.Sprintf("it advertises %s, which on every client means the client's own machine", r.address),
			"advertised.listeners is localhost, or it is not set and the machine's name is localhost.",
			fmt.Sprintf("Set advertised.listeners=PLAINTEXT://%s and restart the broker.", e.betterAddress(r))})
	}
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || host == "localhost"
}

func (e *examination) diagnoseController() {
	switch id := e.cluster.controller; {
	case e.cluster.link == nil:
	case id < 0:
		e.error(conclusion{"no-controller", "cluster", "there is no controller",
			"No broker has won the election, or the broker that answered does not know: brokers have lost ZooKeeper, or are starting. Without a controller no topic is created and no leader elected.",
			"Look at ZooKeeper with monedula doctor --zookeeper, and at controller.log and server.log of the brokers."})
	case !slices.ContainsFunc(e.brokers, func(b *brokerFacts) bool { return b.id == id }):
		e.error(conclusion{"no-controller", "cluster", fmt.Sprintf("the controller %d is not among the brokers", id),
			"The controller has just failed, or the broker that answered has old metadata.", "Repeat in a minute. If it persists, restart the broker that answered."})
	}
}

// diagnoseVersions compares what the brokers support.
func (e *examination) diagnoseVersions() {
	byRelease := map[string][]string{}
	var releases []string
	for _, b := range e.brokers {
		if !b.reach.isBroker() {
			continue
		}
		release := releaseOf(b.reach.versions)
		if byRelease[release] == nil {
			releases = append(releases, release)
		}
		byRelease[release] = append(byRelease[release], strconv.Itoa(int(b.id)))
	}
	if len(releases) > 1 {
		slices.Sort(releases)
		var parts []string
		for _, release := range releases {
			parts = append(parts, fmt.Sprintf("%s on %s", release, strings.Join(byRelease[release], ", ")))
		}
		e.warn(conclusion{"mixed-versions", "cluster", "the brokers have different versions: " + strings.Join(parts, "; "),
			"An upgrade is under way, or was not finished.", "Upgrade the others. Leave inter.broker.protocol.version at the older release until all have the newer one."})
	}
	protocols := map[string]bool{}
	for _, b := range e.brokers {
		if text := b.configs["inter.broker.protocol.version"]; text != "" {
			protocols[text] = true
		}
	}
	if len(protocols) > 1 {
		e.warn(conclusion{"mixed-protocols", "cluster", "the brokers have different values of inter.broker.protocol.version",
			"An upgrade is under way, or was not finished.", "Set the same value on all brokers and restart them one after the other."})
	}
}

// fetchReleases are the releases that first supported a version of Fetch.
var fetchReleases = []struct {
	version int16
	release string
}{{17, "3.9"}, {16, "3.7"}, {15, "3.5"}, {13, "3.1"}, {12, "2.7"}, {11, "2.3"}, {10, "2.1"}, {8, "2.0"}, {7, "1.1"}, {6, "1.0"}, {5, "0.11"}, {3, "0.10.1"}}

// releaseOf returns the release that a broker's versions are those of, such as "3.9 or newer" or
// "3.7 to 3.8".
func releaseOf(versions *kmsg.ApiVersionsResponse) string {
	for _, k := range versions.ApiKeys {
		if k.ApiKey != int16(protocol.Fetch) {
			continue
		}
		for _, f := range fetchReleases {
			if k.MaxVersion >= f.version {
				return f.release + " or newer"
			}
		}
	}
	return "older than 0.10.1"
}

// diagnoseDisks finds failed log directories, and disks that are almost full.
func (e *examination) diagnoseDisks() {
	for _, b := range e.brokers {
		for _, d := range b.dirs {
			switch {
			case d.failed != protocol.None:
				e.error(conclusion{"offline-directory", b.subject(), fmt.Sprintf("the log directory %s is offline", d.path),
					"The broker got an error from the disk, and no longer uses the directory: " + d.failed.Name() + ".",
					"Find the error in server.log, repair or replace the disk, and restart the broker."})
			case d.usable >= 0 && d.total > 0 && d.usable < d.total/100:
				e.error(fullDisk(b, d, "Producers are refused, or the log directory fails, when it is full."))
			case d.usable >= 0 && d.total > 0 && d.usable < d.total/10:
				e.warn(fullDisk(b, d, "Retention may be too long for the disk."))
			}
		}
	}
}

func fullDisk(b *brokerFacts, d logDir, consequence string) conclusion {
	return conclusion{"disk-full", b.subject(), fmt.Sprintf("the disk of %s has %s left of %s (%d %%)", d.path, bytesText(d.usable), bytesText(d.total), d.usable*100/d.total), consequence,
		"Lower retention.ms or retention.bytes of large topics with bin/kafka-configs.sh, delete topics, or add a disk; bin/kafka-log-dirs.sh --describe shows the sizes."}
}

// bytesText formats a number of bytes, such as 3.2 GiB.
func bytesText(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
