package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// reach is what connecting to an address found.
type reach struct {
	address string
	ips     []string       // what the name resolves to
	err     error          // nil if a broker answered
	failure client.Failure // of err
	speaks  string         // what the other side speaks if it is not a broker's PLAINTEXT: TLS, SASL, HTTP, ZooKeeper
	took    time.Duration  // until the first answer

	link     *peerlink.Link
	versions *kmsg.ApiVersionsResponse
	metadata *kmsg.MetadataResponse // of all topics
}

func (r *reach) isBroker() bool { return r.err == nil }

func (r *reach) close() {
	if r.link != nil {
		r.link.Close()
	}
}

// host returns the host of the address.
func (r *reach) host() string {
	host, _, err := net.SplitHostPort(r.address)
	if err != nil {
		return r.address
	}
	return host
}

// reach connects to an address as a client does.
func (e *examination) reach(ctx context.Context, address string) *reach {
	r := &reach{address: address}
	ctx, cancel := context.WithTimeout(ctx, 3*e.timeout)
	defer cancel()
	if _, err := netip.ParseAddr(r.host()); err != nil {
		if r.ips, r.err = e.resolve(ctx, r.host()); r.err != nil {
			r.failure = client.FailureOf(r.err)
			return r
		}
	}
	r.link = e.linkTo(address)
	began := time.Now()
	r.versions, r.err = r.link.APIVersions(ctx)
	r.took = time.Since(began)
	if r.err == nil {
		r.metadata, r.err = ask[*kmsg.MetadataResponse](ctx, r.link, allTopics(), 12)
		if client.FailureOf(r.err) == client.ClosedEarly && e.wantsSASL(ctx, address) {
			r.speaks = "SASL"
		}
	} else {
		r.speaks = e.identify(ctx, address, r.err)
	}
	r.failure = client.FailureOf(r.err)
	return r
}

func (e *examination) linkTo(address string) *peerlink.Link {
	return peerlink.New(peerlink.Config{Address: address, ClientID: "doctor", Dial: e.dial, ConnectTimeout: e.timeout, RequestTimeout: e.timeout})
}

func allTopics() *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation, req.Topics = false, nil
	return req
}

// ask sends a request at the highest common version up to max.
func ask[R kmsg.Response](ctx context.Context, link *peerlink.Link, req kmsg.Request, max int16) (resp R, err error) {
	answer, err := link.Negotiated(ctx, req, max)
	if err != nil {
		return resp, err
	}
	return answer.(R), nil
}

// wantsSASL reports whether a broker at the address waits for a SASL handshake.
func (e *examination) wantsSASL(ctx context.Context, address string) bool {
	link := e.linkTo(address)
	defer link.Close()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = "none"
	resp, err := ask[*kmsg.SASLHandshakeResponse](ctx, link, req, 1)
	return err == nil && protocol.ErrorCode(resp.ErrorCode) == protocol.UnsupportedSASLMechanism
}

// identify returns what listens at an address that did not answer as a broker: TLS, HTTP,
// ZooKeeper, or "" if it cannot be found out.
func (e *examination) identify(ctx context.Context, address string, err error) string {
	switch client.FailureOf(err) {
	case client.SpeaksTLS:
		return "TLS"
	case client.SpeaksHTTP:
		return "HTTP"
	case client.ClosedEarly, client.NotABroker:
	case client.TimedOut:
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return ""
		}
	default:
		return ""
	}
	if e.speaksTLS(ctx, address) {
		return "TLS"
	}
	if text, err := e.fourLetters(ctx, address, "srvr"); err == nil && isZooKeeper(text) {
		return "ZooKeeper"
	}
	return ""
}

// speaksTLS reports whether a TLS handshake gets an answer. Which certificate the other side has
// does not matter.
func (e *examination) speaksTLS(ctx context.Context, address string) bool {
	ctx, cancel := e.within(ctx)
	defer cancel()
	conn, err := e.dial(ctx, address)
	if err != nil {
		return false
	}
	defer conn.Close()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // nothing is sent
	err = secure.HandshakeContext(ctx)
	return err == nil || strings.Contains(err.Error(), "remote error: tls:")
}

// fourLetters sends one of ZooKeeper's four-letter words and returns the answer.
func (e *examination) fourLetters(ctx context.Context, address, word string) (string, error) {
	ctx, cancel := e.within(ctx)
	defer cancel()
	conn, err := e.dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte(word)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	return string(text), err
}

// notInWhitelist is part of the answer of a ZooKeeper server that refuses a four-letter word.
const notInWhitelist = "is not executed because it is not in the whitelist"

func isZooKeeper(text string) bool {
	return strings.Contains(strings.ToLower(text), "zookeeper") || strings.Contains(text, notInWhitelist)
}

// connect reaches the bootstrap servers.
func (e *examination) connect(ctx context.Context) {
	for _, address := range e.bootstrap {
		r := e.reach(ctx, address)
		e.seeds = append(e.seeds, r)
		if r.isBroker() && e.cluster.link == nil {
			e.cluster.adopt(r)
		}
	}
}

func (e *examination) diagnoseSeeds() {
	none := !slices.ContainsFunc(e.seeds, (*reach).isBroker)
	for _, r := range e.seeds {
		if r.isBroker() {
			continue
		}
		c := e.unreachable(r, "bootstrap server "+r.address)
		if none {
			e.error(c)
		} else {
			e.warn(c)
		}
	}
}

// unreachable explains why an address is not reached.
func (e *examination) unreachable(r *reach, subject string) conclusion {
	c := conclusion{subject: subject}
	switch {
	case r.speaks == "TLS":
		c.code, c.text = "tls-listener", "the listener expects TLS, but the client speaks plaintext"
		c.cause = "A plaintext request got no answer of a broker, but one of TLS."
		c.remedy = "Connect to a PLAINTEXT listener, or use a client with security.protocol=SSL; the tools of this release have no TLS."
	case r.speaks == "SASL":
		c.code, c.text = "sasl-listener", "the listener expects SASL authentication"
		c.cause = "The broker answered ApiVersions, but closed the connection at the first request without authentication."
		c.remedy = "Connect to a PLAINTEXT listener, or use a client with security.protocol=SASL_PLAINTEXT; the tools of this release have no SASL."
	case r.speaks == "HTTP":
		c.code, c.text = "http-port", "the port is that of an HTTP server, not of a broker"
		c.cause = "The answer began with HTTP. Kafka Connect, Schema Registry, a REST proxy or the metrics of a broker have such ports."
		c.remedy = "Use the port of the broker's listener, usually 9092."
	case r.speaks == "ZooKeeper":
		c.code, c.text = "zookeeper-port", "the port is that of ZooKeeper, not of a broker"
		c.cause = "The server answered a command of ZooKeeper. Clients of Kafka connect to brokers."
		c.remedy = "Use the port of the broker's listener, usually 9092."
	case r.failure == client.UnknownHost:
		c.code, c.text = "unknown-host", fmt.Sprintf("the name %s cannot be resolved here", r.host())
		c.cause = "DNS and /etc/hosts of this machine do not know the name, which may exist in another network, such as that of containers, only."
		c.remedy = fmt.Sprintf("Check the spelling with getent hosts %s, or add the name to DNS or /etc/hosts.", r.host())
	case r.failure == client.Refused:
		c.code, c.text = "connection-refused", "the connection is refused"
		c.cause = "The machine" + r.resolved() + " is reached, but no process listens at this address: the broker is not running or still starting, it listens on another port or address, or a container does not publish the port."
		c.remedy = "On the broker's machine compare listeners in server.properties with: ss -ltn"
	case r.failure == client.Unroutable:
		c.code, c.text = "no-route", "there is no route to the machine"+r.resolved()
		c.cause = "The address belongs to a network that this machine does not reach, such as one inside a cloud or of containers."
		c.remedy = "Use an address that is reached from here, or a VPN or gateway into that network."
	case r.failure == client.TimedOut && isDial(r.err):
		c.code, c.text = "no-answer", fmt.Sprintf("the machine%s does not answer within %s", r.resolved(), e.timeout)
		c.cause = "A firewall or security group drops the packets, or the address is not in use."
		c.remedy = "Allow TCP to this port from here, and check it with: nc -vz " + strings.Replace(r.address, ":", " ", 1)
	case r.failure == client.TimedOut:
		c.code, c.text = "silent-broker", fmt.Sprintf("the connection is accepted, but there is no answer within %s", e.timeout)
		c.cause = "The process is stopped or overloaded, it is another program, or a proxy accepts connections for a broker that is down."
		c.remedy = "Look at the log of the broker, and at its load."
	case r.failure == client.ClosedEarly:
		c.code, c.text = "connection-closed", "the connection is closed without an answer"
		c.cause = "The other side is not a broker, a proxy has no broker behind it, or the broker has reached max.connections or max.connections.per.ip."
		c.remedy = "Look for the address of this client in the log of the broker."
	case r.failure == client.NotABroker:
		c.code, c.text = "not-a-broker", "the answer is not that of a broker"
		c.cause = "Another program listens on the port."
		c.remedy = "Find out which: ss -ltnp on that machine."
	default:
		c.code, c.text = "request-failed", "the request failed: "+r.err.Error()
	}
	return c
}

// resolved returns what the name of the address resolves to, in brackets, or "".
func (r *reach) resolved() string {
	if len(r.ips) == 0 {
		return ""
	}
	return " (" + strings.Join(r.ips, ", ") + ")"
}

func isDial(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" || strings.Contains(err.Error(), "connect: ")
}
