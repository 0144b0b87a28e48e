package admin

import (
	"strings"

	"github.com/monedula/monedula/protocol"
)

// The internal topics.
const (
	GroupOffsetsTopic     = "__consumer_offsets"
	TransactionStateTopic = "__transaction_state"
	shareStateTopic       = "__share_group_state"

	// ClusterMetadataTopic is KRaft's; 3.x refuses to create it.
	ClusterMetadataTopic = "__cluster_metadata"
)

// IsInternal says whether the topic belongs to a coordinator.
func IsInternal(topic string) bool {
	return topic == GroupOffsetsTopic || topic == TransactionStateTopic || topic == shareStateTopic
}

// maxTopicName leaves room for a partition's number and a suffix in a directory's name.
const maxTopicName = 249

// ValidateTopicName returns an InvalidTopicException for a name that no topic
// may have.
func ValidateTopicName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "the empty string is not allowed"
	case name == "." || name == "..":
		reason = "'" + name + "' is not allowed"
	case len(name) > maxTopicName:
		reason = "the length of '" + name + "' is longer than the max allowed length 249"
	case strings.ContainsFunc(name, isForbidden):
		reason = "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
	default:
		return nil
	}
	return protocol.Errorf(protocol.InvalidTopicException, "Topic name is invalid: %s", reason)
}

func isForbidden(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		return false
	}
	return true
}

// Collide says whether metrics could not tell the two topics apart, since they
// write '.' as '_'.
func Collide(a, b string) bool { return unify(a) == unify(b) }

// MayCollide says whether the name has one of the characters that collide.
func MayCollide(name string) bool { return strings.ContainsAny(name, "._") }

func unify(name string) string { return strings.ReplaceAll(name, ".", "_") }
