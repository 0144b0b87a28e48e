package tree

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// Permissions of an ACL entry.
const (
	PermRead   int32 = 1
	PermWrite  int32 = 2
	PermCreate int32 = 4
	PermDelete int32 = 8
	PermAdmin  int32 = 16
	PermAll    int32 = 31
)

var (
	anyone  = jute.ID{Scheme: "world", ID: "anyone"}
	readACL = []jute.ACL{{Perms: PermRead, ID: anyone}}
	// OpenACL permits everything to all clients.
	OpenACL = []jute.ACL{{Perms: PermAll, ID: anyone}}
)

// permitted returns NoAuth unless the session has one of the permissions. A session without
// identities has all permissions, and so has one with an identity of the scheme "super".
func (s *session) permitted(acl []jute.ACL, perms int32) error {
	if s.ids == nil || len(acl) == 0 || slices.ContainsFunc(s.ids, func(id jute.ID) bool { return id.Scheme == "super" }) {
		return nil
	}
	for _, a := range acl {
		if a.Perms&perms == 0 {
			continue
		}
		if a.ID == anyone || slices.ContainsFunc(s.ids, func(id jute.ID) bool { return matches(id, a.ID) }) {
			return nil
		}
	}
	return NoAuth
}

// matches reports whether the identity of a client is the one of an ACL entry, which may be a range
// of addresses.
func matches(id, entry jute.ID) bool {
	if id.Scheme != entry.Scheme {
		return false
	}
	if id.Scheme != "ip" {
		return id.ID == entry.ID
	}
	prefix, err := parsePrefix(entry.ID)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(id.ID)
	return err == nil && prefix.Contains(address.Unmap())
}

// parsePrefix reads an address or a range of addresses: 10.0.0.0/8.
func parsePrefix(text string) (netip.Prefix, error) {
	host, bits, ranged := strings.Cut(text, "/")
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, err
	}
	n := address.BitLen()
	if ranged {
		if n, err = strconv.Atoi(bits); err != nil {
			return netip.Prefix{}, err
		}
	}
	return address.Prefix(n)
}

// fixACL checks an ACL that a client wants to set, and returns it without duplicates and with "auth"
// replaced by the identities of the session. A nil ACL is open; an empty one is invalid.
func (s *session) fixACL(acl []jute.ACL) ([]jute.ACL, error) {
	if acl == nil {
		return OpenACL, nil
	}
	var fixed []jute.ACL
	for i, a := range acl {
		switch {
		case slices.Contains(acl[:i], a):
		case a.ID.Scheme == "auth":
			before := len(fixed)
			for _, id := range s.ids {
				if id.Scheme == "digest" {
					fixed = append(fixed, jute.ACL{Perms: a.Perms, ID: id})
				}
			}
			if len(fixed) == before {
				return nil, InvalidACL
			}
		case !validID(a.ID):
			return nil, InvalidACL
		default:
			fixed = append(fixed, a)
		}
	}
	if len(fixed) == 0 {
		return nil, InvalidACL
	}
	return fixed, nil
}

// validID reports whether an ACL entry may be for the identity.
func validID(id jute.ID) bool {
	switch id.Scheme {
	case "world":
		return id == anyone
	case "digest":
		return strings.Count(id.ID, ":") == 1 && !strings.HasSuffix(id.ID, ":")
	case "ip":
		_, err := parsePrefix(id.ID)
		return err == nil
	}
	return false
}

// withoutPasswords replaces the digests of passwords.
func withoutPasswords(acl []jute.ACL) []jute.ACL {
	shown := slices.Clone(acl)
	for i, a := range shown {
		if user, _, found := strings.Cut(a.ID.ID, ":"); found && a.ID.Scheme == "digest" {
			shown[i].ID.ID = user + ":x"
		}
	}
	return shown
}
