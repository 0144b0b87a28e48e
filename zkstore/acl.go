package zkstore

import (
	"strings"

	"github.com/go-zookeeper/zk"
)

// acl returns the ACL of a new node as Kafka sets it. Without zookeeper.set.acl, every client may
// do everything. With it, only the creator may, but every client may read nodes that are not
// secret.
func (cfg Config) acl(path string) []zk.ACL {
	if !cfg.SecureACL || path == consumersPath {
		return zk.WorldACL(zk.PermAll)
	}
	acl := zk.AuthACL(zk.PermAll)
	if !secretPath(path) {
		acl = append(acl, zk.WorldACL(zk.PermRead)...)
	}
	return acl
}

func secretPath(path string) bool {
	return strings.HasPrefix(path, configPath+"/users") || strings.HasPrefix(path, configPath+"/brokers") ||
		strings.HasPrefix(path, "/delegation_token/tokens")
}
