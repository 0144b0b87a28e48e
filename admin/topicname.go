package admin

import (
	"strings"

	"github.com/monedula/monedula/protocol"
)

// ClusterMetadataTopic is KRaft's metadata topic, which Kafka 3.x refuses to create.
const ClusterMetadataTopic = "__cluster_metadata"

// maxTopicName leaves space for a partition number and a suffix in the name of a directory.
const maxTopicName = 249

// ValidateTopicName returns an InvalidTopicException if the name is not allowed for topics.
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

// Collide reports whether two topics have the same name in metrics, which replace '.' by '_'.
func Collide(a, b string) bool { return unify(a) == unify(b) }

// MayCollide reports whether the name contains a character that can cause a collision.
func MayCollide(name string) bool { return strings.ContainsAny(name, "._") }

func unify(name string) string { return strings.ReplaceAll(name, ".", "_") }
