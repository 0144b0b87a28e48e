package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/zkstore"
)

// zooKeeperFacts are what was seen of ZooKeeper.
type zooKeeperFacts struct {
	connect    string // "": it was not examined
	servers    []zooKeeperServer
	err        error // of the session; nil: it was opened
	opened     time.Duration
	registered map[metadata.BrokerID]zkstore.BrokerInfo
	skews      map[metadata.BrokerID]time.Duration // the clock of a broker minus that of ZooKeeper when the broker registered
	controller metadata.BrokerID                   // metadata.NoBroker: no node
}

// zooKeeperServer is a server of the ensemble, by its answer to srvr.
type zooKeeperServer struct {
	address string
	err     error
	mode    string // leader, follower, standalone, observer; "" if it does not serve
	version string
	latency float64 // the average in ms
	silent  bool    // it does not answer four-letter words
}

// examineZooKeeper asks each server for its state, opens a session, and reads what brokers have
// registered.
func (e *examination) examineZooKeeper(ctx context.Context, connect string) {
	if connect == "" {
		return
	}
	e.zk.connect, e.zk.controller = connect, metadata.NoBroker
	list, _, _ := strings.Cut(connect, "/")
	for _, server := range strings.Split(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "2181")
		}
		text, err := e.fourLetters(ctx, server, "srvr")
		e.zk.servers = append(e.zk.servers, parseSrvr(server, text, err))
	}
	began := time.Now()
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: connect, SessionTimeout: 3 * e.timeout, ConnectionTimeout: e.timeout, Logger: kafkalog.Discard()})
	if e.zk.err = err; err != nil {
		return
	}
	defer store.Close()
	e.zk.opened = time.Since(began)
	ctx, cancel := e.within(ctx)
	defer cancel()
	if e.zk.registered, e.zk.err = store.Brokers(ctx); e.zk.err != nil {
		return
	}
	if c, exists, err := store.Controller(ctx); err == nil && exists {
		e.zk.controller = c.ID
	}
	e.zk.skews = map[metadata.BrokerID]time.Duration{}
	for id := range e.zk.registered {
		if ofBroker, ofZooKeeper, err := store.RegistrationTimes(ctx, id); err == nil && ofBroker > 0 {
			e.zk.skews[id] = time.Duration(ofBroker-ofZooKeeper) * time.Millisecond
		}
	}
}

// parseSrvr reads a server's answer to srvr.
func parseSrvr(address, text string, err error) zooKeeperServer {
	s := zooKeeperServer{address: address, err: err}
	if err != nil {
		return s
	}
	s.silent = strings.Contains(text, notInWhitelist) || text == ""
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Mode":
			s.mode = value
		case "Zookeeper version":
			s.version, _, _ = strings.Cut(value, "-")
		case "Latency min/avg/max":
			if parts := strings.Split(value, "/"); len(parts) == 3 {
				s.latency, _ = strconv.ParseFloat(parts[1], 64)
			}
		}
	}
	return s
}

// slowZooKeeper is the average latency from which ZooKeeper is too slow for brokers, in ms.
const slowZooKeeper = 50

func (e *examination) diagnoseZooKeeper() {
	if e.zk.connect == "" {
		return
	}
	down := 0
	for _, s := range e.zk.servers {
		if s.err != nil {
			down++
		}
	}
	for _, s := range e.zk.servers {
		subject := "ZooKeeper " + s.address
		switch {
		case s.err != nil:
			c := conclusion{"zookeeper-unreachable", subject, "the server is not reached: " + client.Reason(s.err),
				"It is not running, or the address is wrong.", "Start it, or correct zookeeper.connect."}
			if down == len(e.zk.servers) {
				e.error(c)
			} else {
				e.warn(c)
			}
		case s.silent:
			e.remark(conclusion{"zookeeper-four-letters", subject, "the server does not answer srvr, so its mode and latency are not known", "The command is not in its whitelist.",
				"Add 4lw.commands.whitelist=srvr,ruok,mntr to zoo.cfg."})
		case s.mode == "":
			e.error(conclusion{"zookeeper-no-quorum", subject, "the server runs but serves no requests",
				"It has no quorum: more than half of the servers of the ensemble must run and reach each other.", "Start the other servers, and look at their logs for the ports 2888 and 3888."})
		case s.latency > slowZooKeeper:
			e.warn(conclusion{"zookeeper-slow", subject, fmt.Sprintf("its average latency is %.0f ms", s.latency),
				"Its disk is slow or shared, or it collects garbage for long: brokers lose their sessions.", "Give its dataLogDir a disk of its own, and more memory."})
		}
	}
	e.diagnoseSession()
}

// diagnoseSession explains what the session with ZooKeeper has shown.
func (e *examination) diagnoseSession() {
	subject := "ZooKeeper " + e.zk.connect
	var timeout *zkstore.ConnectionTimeoutError
	switch {
	case errors.As(e.zk.err, &timeout):
		e.error(conclusion{"zookeeper-session", subject, fmt.Sprintf("no session is opened within %s", e.timeout), "No server of the ensemble serves requests, or none is reached.", "See the servers above."})
		return
	case e.zk.err != nil:
		e.error(conclusion{"zookeeper-session", subject, "ZooKeeper cannot be read: " + e.zk.err.Error(), "", ""})
		return
	case len(e.zk.registered) == 0:
		e.error(conclusion{"zookeeper-chroot", subject, "no broker is registered here", "No broker runs, or the chroot is missing or wrong: the path after the last server must be that of zookeeper.connect of the brokers.",
			"Compare it with zookeeper.connect in server.properties, and look with: bin/zookeeper-shell.sh HOST:2181 ls /"})
		return
	case e.zk.controller == metadata.NoBroker:
		e.error(conclusion{"no-controller", "cluster", "ZooKeeper has no node /controller", "No broker takes part in the election.", "Restart a broker, and look at its log."})
	}
	if e.cluster.link != nil {
		e.compareRegistrations(subject)
	}
	e.diagnoseClocks()
}

// compareRegistrations compares the brokers that are registered with those that clients see.
func (e *examination) compareRegistrations(subject string) {
	for _, b := range e.brokers {
		info, registered := e.zk.registered[b.id]
		if !registered {
			e.error(conclusion{"not-registered", b.subject(), "clients see it, but it is not registered in " + subject,
				"It has lost its session, or belongs to another cluster than this zookeeper.connect.", "Look at its log, and compare zookeeper.connect."})
			continue
		}
		for _, endpoint := range info.Endpoints {
			if endpoint.SecurityProtocol != 0 || endpoint.Address() == b.reach.address {
				continue
			}
			if r := e.reach(context.Background(), endpoint.Address()); !r.isBroker() {
				why := e.unreachable(r, "")
				e.remark(conclusion{"listener-unreachable", b.subject(), fmt.Sprintf("its listener %s at %s is not reached from here: %s", endpoint.Listener, endpoint.Address(), why.text),
					"The listener is meant for another network, or its address is wrong.", "Nothing, if clients here use another listener."})
				r.close()
			} else {
				r.close()
			}
		}
	}
	var hidden []string
	for id := range e.zk.registered {
		if !slices.ContainsFunc(e.brokers, func(b *brokerFacts) bool { return b.id == id }) {
			hidden = append(hidden, strconv.Itoa(int(id)))
		}
	}
	if slices.Sort(hidden); hidden != nil {
		e.warn(conclusion{"not-in-metadata", "cluster", "brokers are registered in ZooKeeper, but clients do not see them: " + strings.Join(hidden, ", "),
			"They have no listener with the name of the one used here, they started a moment ago, or the controller does not work.", "Repeat in a minute; compare the names of listeners, and look at controller.log."})
	}
}

// tolerableSkew is the difference between clocks from which on timestamps, retention and timeouts
// are visibly wrong.
const tolerableSkew = 5 * time.Second

// diagnoseClocks compares the clocks of the brokers. Each is known as its difference from
// ZooKeeper's when the broker registered.
func (e *examination) diagnoseClocks() {
	var least, most time.Duration
	var first, last metadata.BrokerID
	seen := false
	for _, id := range slices.Sorted(maps.Keys(e.zk.skews)) {
		skew := e.zk.skews[id]
		if !seen || skew < least {
			least, first = skew, id
		}
		if !seen || skew > most {
			most, last = skew, id
		}
		seen = true
	}
	switch difference := most - least; {
	case difference > tolerableSkew:
		e.warn(conclusion{"clock-skew", "cluster", fmt.Sprintf("the clock of broker %d was %s ahead of that of broker %d when they registered", last, difference.Round(time.Millisecond), first),
			"The clocks are not synchronized. Retention by time, timestamps with LogAppendTime and searches by time are wrong by that much.", "Run chrony or another NTP client on all machines."})
	case most > tolerableSkew || least < -tolerableSkew:
		e.remark(conclusion{"clock-skew", "cluster", fmt.Sprintf("the clocks of the brokers differ from that of ZooKeeper by %s", max(most, -least).Round(time.Millisecond)),
			"The clocks are not synchronized.", "Run chrony or another NTP client on all machines."})
	}
}
