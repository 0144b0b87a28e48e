package doctor

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/findings"
)

// print writes what was seen and what is wrong as text.
func (e *examination) print(w io.Writer) {
	fmt.Fprintln(w, e.headline())
	for _, b := range e.brokers {
		fmt.Fprintln(w, "  "+b.line())
	}
	if e.cluster.link != nil {
		partitions := 0
		for _, t := range e.cluster.topics {
			partitions += len(t.Partitions)
		}
		fmt.Fprintf(w, "  %d topics with %d partitions, %d consumer groups, %d unfinished transactions\n", len(e.cluster.topics), partitions, len(e.cluster.groups), len(e.cluster.transactions))
	}
	if e.zk.connect == "" {
		fmt.Fprintln(w, "ZooKeeper, clocks: not examined; name the servers with --zookeeper")
	} else {
		e.printZooKeeper(w)
	}
	fmt.Fprintln(w)
	findings.Print(w, e.found)
	if len(e.found) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, findings.NewReport(e.found).Summary())
}

func (e *examination) headline() string {
	if e.cluster.link == nil {
		return "Cluster: not reached"
	}
	controller := "none"
	if e.cluster.controller >= 0 {
		controller = strconv.Itoa(int(e.cluster.controller))
	}
	return fmt.Sprintf("Cluster %s, %d broker(s), controller %s, seen through %s", e.cluster.id, len(e.brokers), controller, e.cluster.seed)
}

// line describes a broker in a line.
func (b *brokerFacts) line() string {
	r := b.reach
	line := fmt.Sprintf("broker %d  %s%s", b.id, r.address, r.resolved())
	if b.rack != "" {
		line += "  rack " + b.rack
	}
	if !r.isBroker() {
		return line + "  not reached"
	}
	line += fmt.Sprintf("  answered in %s, Kafka %s", r.took.Round(100*time.Microsecond), releaseOf(r.versions))
	for _, d := range b.dirs {
		line += fmt.Sprintf("\n            %s: %s of logs", d.path, bytesText(d.used))
		if d.usable >= 0 {
			line += fmt.Sprintf(", %s of %s free", bytesText(d.usable), bytesText(d.total))
		}
	}
	return line
}

func (e *examination) printZooKeeper(w io.Writer) {
	session := "no session"
	if e.zk.err == nil {
		session = fmt.Sprintf("session opened in %s", e.zk.opened.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "ZooKeeper %s, %s\n", e.zk.connect, session)
	for _, s := range e.zk.servers {
		state := s.mode
		switch {
		case s.err != nil:
			state = "not reached"
		case s.silent:
			state = "mode not known"
		case s.mode == "":
			state = "serves no requests"
		default:
			state += fmt.Sprintf(", version %s, average latency %g ms", s.version, s.latency)
		}
		fmt.Fprintf(w, "  %s  %s\n", s.address, state)
	}
}

// report is what is printed as JSON.
type report struct {
	Cluster    string         `json:"cluster,omitempty"`
	Controller *int           `json:"controller"` // null: none
	Brokers    []brokerReport `json:"brokers"`
	ZooKeeper  []serverReport `json:"zookeeper,omitempty"`
	findings.Report
}

type brokerReport struct {
	ID          int      `json:"id"`
	Address     string   `json:"address"`
	ResolvesTo  []string `json:"resolvesTo,omitempty"`
	Rack        string   `json:"rack,omitempty"`
	Reached     bool     `json:"reached"`
	Millis      float64  `json:"answeredInMs,omitempty"`
	Kafka       string   `json:"kafka,omitempty"`
	Directories []string `json:"logDirectories,omitempty"`
}

type serverReport struct {
	Address string  `json:"address"`
	Reached bool    `json:"reached"`
	Mode    string  `json:"mode,omitempty"`
	Version string  `json:"version,omitempty"`
	Latency float64 `json:"averageLatencyMs"`
}

func (e *examination) printJSON(w io.Writer) error {
	r := report{Cluster: e.cluster.id, Brokers: []brokerReport{}, Report: findings.NewReport(e.found)}
	if e.cluster.link != nil && e.cluster.controller >= 0 {
		id := int(e.cluster.controller)
		r.Controller = &id
	}
	for _, b := range e.brokers {
		one := brokerReport{ID: int(b.id), Address: b.reach.address, ResolvesTo: b.reach.ips, Rack: b.rack, Reached: b.reach.isBroker()}
		if one.Reached {
			one.Millis = float64(b.reach.took.Microseconds()) / 1000
			one.Kafka = strings.TrimSuffix(releaseOf(b.reach.versions), " or newer")
		}
		for _, d := range b.dirs {
			one.Directories = append(one.Directories, d.path)
		}
		r.Brokers = append(r.Brokers, one)
	}
	for _, s := range e.zk.servers {
		r.ZooKeeper = append(r.ZooKeeper, serverReport{s.address, s.err == nil, s.mode, s.version, s.latency})
	}
	return findings.PrintJSON(w, r)
}
