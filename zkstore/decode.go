package zkstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// object is a JSON object with case-sensitive keys; decoding into a struct with encoding/json would
// ignore case.
type object map[string]json.RawMessage

func parseObject(data []byte) (object, error) {
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidNode, err)
	}
	if o == nil {
		return nil, fmt.Errorf("%w: null", ErrInvalidNode)
	}
	return o, nil
}

// get decodes a required key.
func get[T any](o object, key string) (T, error) {
	value, found, err := find[T](o, key)
	if err == nil && !found {
		err = fmt.Errorf("%w: key %q is missing", ErrInvalidNode, key)
	}
	return value, err
}

// find decodes an optional key. A null value counts as absent.
func find[T any](o object, key string) (value T, found bool, err error) {
	raw, ok := o[key]
	if !ok || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return value, false, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, false, fmt.Errorf("%w: key %q: %w", ErrInvalidNode, key, err)
	}
	return value, true, nil
}

// invalid adds the path to a decoding error.
func invalid(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s: %w", path, err)
}

func decodeBroker(id metadata.BrokerID, data []byte) (*BrokerInfo, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	version, err := get[int](o, "version")
	if err != nil {
		return nil, err
	}
	if version < 1 {
		return nil, fmt.Errorf("%w: version %d of a broker registration is not supported", ErrInvalidNode, version)
	}
	b := &BrokerInfo{ID: id, JSONVersion: version, Features: map[string]FeatureRange{}}
	if b.JMXPort, err = get[int32](o, "jmx_port"); err != nil {
		return nil, err
	}
	if b.Endpoints, err = decodeEndpoints(o, version); err != nil {
		return nil, err
	}
	if rack, found, err := find[string](o, "rack"); err != nil {
		return nil, err
	} else if found {
		b.Rack = &rack
	}
	if text, found, err := find[string](o, "timestamp"); err == nil && found { // an invalid timestamp does no harm
		b.Timestamp, _ = strconv.ParseInt(text, 10, 64)
	}
	features, _, err := find[map[string]map[string]int16](o, "features")
	if err != nil {
		return nil, err
	}
	for name, r := range features {
		b.Features[name] = FeatureRange{Min: r["min_version"], Max: r["max_version"]}
	}
	return b, nil
}

func decodeEndpoints(o object, version int) ([]metadata.Endpoint, error) {
	if version == 1 {
		host, err := get[string](o, "host")
		if err != nil {
			return nil, err
		}
		port, err := get[int32](o, "port")
		return []metadata.Endpoint{{Listener: "PLAINTEXT", Host: host, Port: port}}, err
	}
	texts, err := get[[]string](o, "endpoints")
	if err != nil {
		return nil, err
	}
	protocols, mapped, err := find[map[string]string](o, "listener_security_protocol_map")
	if err != nil {
		return nil, err
	}
	endpoints := make([]metadata.Endpoint, 0, len(texts))
	for _, text := range texts {
		e, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		protocol := e.Listener
		if mapped {
			protocol = lookupFold(protocols, e.Listener)
		}
		if e.SecurityProtocol, err = securityProtocolID(protocol); err != nil {
			return nil, fmt.Errorf("%w: endpoint %q: %w", ErrInvalidNode, text, err)
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

var endpointPattern = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

func parseEndpoint(text string) (metadata.Endpoint, error) {
	m := endpointPattern.FindStringSubmatch(text)
	if m == nil {
		return metadata.Endpoint{}, fmt.Errorf("%w: endpoint %q is not listener://host:port", ErrInvalidNode, text)
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return metadata.Endpoint{}, fmt.Errorf("%w: endpoint %q: port %w", ErrInvalidNode, text, err)
	}
	return metadata.Endpoint{Listener: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}, nil
}

func lookupFold(protocols map[string]string, listener string) string {
	for name, protocol := range protocols {
		if strings.EqualFold(name, listener) {
			return protocol
		}
	}
	return listener
}

func securityProtocolID(name string) (int16, error) {
	for id, known := range securityProtocols {
		if strings.EqualFold(name, known) {
			return int16(id), nil
		}
	}
	return 0, fmt.Errorf("unknown security protocol %q", name)
}

func decodeTopic(name string, data []byte) (TopicNode, error) {
	t := TopicNode{Name: name, Partitions: map[int32]Assignment{}}
	o, err := parseObject(data)
	if err != nil {
		return t, err
	}
	if text, found, err := find[string](o, "topic_id"); err != nil {
		return t, err
	} else if found {
		if t.ID, err = decodeTopicID(text); err != nil {
			return t, err
		}
	}
	replicas, err := findLists(o, "partitions")
	if err != nil {
		return t, err
	}
	adding, err := findLists(o, "adding_replicas")
	if err != nil {
		return t, err
	}
	removing, err := findLists(o, "removing_replicas")
	if err != nil {
		return t, err
	}
	for p, list := range replicas {
		t.Partitions[p] = Assignment{Replicas: list, Adding: adding[p], Removing: removing[p]}
	}
	return t, nil
}

func findLists(o object, key string) (map[int32][]metadata.BrokerID, error) {
	lists, _, err := find[map[int32][]metadata.BrokerID](o, key)
	return lists, err
}

func decodeTopicID(text string) (id TopicID, err error) {
	id, err = javatext.ParseUUID(text)
	if err != nil {
		return id, fmt.Errorf("%w: topic id %w", ErrInvalidNode, err)
	}
	return id, nil
}

func decodePartitionState(data []byte) (p PartitionState, err error) {
	o, err := parseObject(data)
	if err != nil {
		return p, err
	}
	var errs [5]error
	p.Leader, errs[0] = get[metadata.BrokerID](o, "leader")
	p.LeaderEpoch, errs[1] = get[metadata.LeaderEpoch](o, "leader_epoch")
	p.ISR, errs[2] = get[[]metadata.BrokerID](o, "isr")
	p.ControllerEpoch, errs[3] = get[metadata.ControllerEpoch](o, "controller_epoch")
	var recovery int32
	recovery, _, errs[4] = find[int32](o, "leader_recovery_state")
	p.Recovering = recovery == 1
	return p, errors.Join(errs[:]...)
}

// decodeController ignores a KRaft epoch that is not positive, as Kafka does.
func decodeController(data []byte) (c ControllerNode, err error) {
	o, err := parseObject(data)
	if err != nil {
		// Brokers before 0.8 wrote the bare number.
		if id, numberErr := strconv.ParseInt(string(data), 10, 32); numberErr == nil {
			return ControllerNode{ID: metadata.BrokerID(id), KRaftEpoch: -1}, nil
		}
		return c, err
	}
	if c.ID, err = get[metadata.BrokerID](o, "brokerid"); err != nil {
		return c, err
	}
	epoch, found, err := find[int32](o, "kraftControllerEpoch")
	c.KRaftEpoch = -1
	if found && epoch > 0 {
		c.KRaftEpoch = epoch
	}
	return c, err
}

func decodeClusterID(data []byte) (string, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", err
	}
	return get[string](o, "id")
}

// decodeFeature returns an error for nodes that a 3.9 broker refuses: with an unknown version,
// without a valid status, or with impossible levels.
func decodeFeature(data []byte) (n FeatureNode, err error) {
	o, err := parseObject(data)
	if err != nil {
		return n, err
	}
	if n.JSONVersion, err = get[int](o, "version"); err != nil {
		return n, err
	}
	if n.JSONVersion < 1 || n.JSONVersion > 2 {
		return n, fmt.Errorf("%w: unsupported version %d of feature information", ErrInvalidNode, n.JSONVersion)
	}
	status, err := get[int](o, "status")
	if err != nil {
		return n, err
	}
	if status != 0 && status != 1 {
		return n, fmt.Errorf("%w: unsupported status %d of feature information", ErrInvalidNode, status)
	}
	n.Enabled = status == 1
	features, err := get[map[string]map[string]int16](o, "features")
	if err != nil {
		return n, err
	}
	n.Features = make(map[string]FinalizedFeature, len(features))
	for name, levels := range features {
		f := FinalizedFeature{Min: levels["min_version_level"], Max: levels["max_version_level"]}
		if f.Max < 1 || n.JSONVersion == 1 && (f.Min < 1 || f.Max < f.Min) {
			return n, fmt.Errorf("%w: feature %q has levels %d to %d", ErrInvalidNode, name, f.Min, f.Max)
		}
		n.Features[name] = f
	}
	return n, nil
}

func decodeProducerIDBlock(data []byte) (b ProducerIDBlock, err error) {
	o, err := parseObject(data)
	if err != nil {
		return b, err
	}
	number := func(key string) int64 {
		text, textErr := get[string](o, key)
		n, numberErr := strconv.ParseInt(text, 10, 64)
		if textErr == nil && numberErr != nil {
			textErr = fmt.Errorf("%w: key %q: %w", ErrInvalidNode, key, numberErr)
		}
		err = errors.Join(err, textErr)
		return n
	}
	var brokerErr error
	b.Broker, brokerErr = get[metadata.BrokerID](o, "broker")
	err = errors.Join(err, brokerErr)
	b.Start, b.End = number("block_start"), number("block_end")
	return b, err
}

// decodeConfig decodes a configuration as leniently as Kafka: data that is not JSON or has no
// config, as in nodes between entities, is an empty configuration, and the version is ignored.
func decodeConfig(data []byte) (map[string]string, error) {
	config := map[string]string{}
	o, err := parseObject(data)
	if err != nil {
		return config, nil
	}
	found, ok, err := find[map[string]string](o, "config")
	if err != nil || !ok {
		return config, err
	}
	return found, nil
}

// decodeConfigChange returns the entity path of a change notification.
func decodeConfigChange(data []byte) (string, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", err
	}
	version, err := get[int](o, "version")
	if err != nil {
		return "", err
	}
	switch version {
	case 2:
		return get[string](o, "entity_path")
	case 1:
		kind, err := get[string](o, "entity_type")
		if err != nil {
			return "", err
		}
		if kind != string(EntityTopics) && kind != string(EntityClients) {
			return "", fmt.Errorf("%w: version 1 config change notification with entity_type %q; only topics and clients are known", ErrInvalidNode, kind)
		}
		name, err := get[string](o, "entity_name")
		return kind + "/" + name, err
	default:
		return "", fmt.Errorf("%w: config change notification has version %d; supported versions are 1 and 2", ErrInvalidNode, version)
	}
}

func decodePartitions(data []byte) ([]TopicPartition, error) {
	entries, err := partitionEntries(data)
	if err != nil {
		return nil, err
	}
	tps := make([]TopicPartition, 0, len(entries))
	for _, e := range entries {
		tp, err := partitionOf(e)
		if err != nil {
			return nil, err
		}
		tps = append(tps, tp)
	}
	return tps, nil
}

func decodeReassignments(data []byte) (map[TopicPartition][]metadata.BrokerID, error) {
	entries, err := partitionEntries(data)
	if err != nil {
		return nil, err
	}
	r := make(map[TopicPartition][]metadata.BrokerID, len(entries))
	for _, e := range entries {
		tp, err := partitionOf(e)
		if err != nil {
			return nil, err
		}
		if r[tp], err = get[[]metadata.BrokerID](e, "replicas"); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func partitionEntries(data []byte) ([]object, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return get[[]object](o, "partitions")
}

func partitionOf(o object) (tp TopicPartition, err error) {
	if tp.Topic, err = get[string](o, "topic"); err != nil {
		return tp, err
	}
	tp.Partition, err = get[int32](o, "partition")
	return tp, err
}

func decodeLogDirEvent(data []byte) (broker metadata.BrokerID, err error) {
	o, err := parseObject(data)
	if err != nil {
		return 0, err
	}
	return get[metadata.BrokerID](o, "broker")
}

// decodeNumber decodes nodes that contain a decimal number.
func decodeNumber(data []byte, bits int) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrInvalidNode, err)
	}
	return n, nil
}
