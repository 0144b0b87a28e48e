package zkstore

import (
	"reflect"
	"testing"

	"github.com/go-zookeeper/zk"
)

// The secret paths are those of Kafka's ZkData.sensitivePath.
func TestWithSecureACLsTheWorldReadsAllButSecrets(t *testing.T) {
	secure := Config{SecureACL: true}
	creator := zk.AuthACL(zk.PermAll)
	readable := append(zk.AuthACL(zk.PermAll), zk.WorldACL(zk.PermRead)...)
	for path, want := range map[string][]zk.ACL{
		"/brokers/topics/t":              readable,
		"/controller":                    readable,
		"/config/topics/t":               readable,
		"/config/users":                  creator,
		"/config/users/u":                creator,
		"/config/brokers/1":              creator,
		"/delegation_token/tokens":       creator,
		"/delegation_token/tokens/token": creator,
		"/delegation_token":              readable,
		"/consumers":                     zk.WorldACL(zk.PermAll),
	} {
		if got := secure.acl(path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if got := (Config{}).acl("/config/users/u"); !reflect.DeepEqual(got, zk.WorldACL(zk.PermAll)) {
		t.Errorf("without zookeeper.set.acl: %v", got)
	}
}
