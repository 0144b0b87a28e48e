package broker

import (
	"fmt"

	"github.com/monedula/monedula/settings"
)

// checkSupported refuses settings that require protection this release does not have. Running
// without it would be worse than not starting.
func checkSupported(cfg *settings.Config) error {
	for _, e := range cfg.Listeners() {
		if e.Protocol != settings.Plaintext {
			return fmt.Errorf("listeners: %s://%s:%d requires %s, which this release does not support; only PLAINTEXT listeners are supported",
				e.Listener, e.Host, e.Port, e.Protocol)
		}
	}
	for _, k := range []struct{ key, why string }{
		{"zookeeper.set.acl", "it needs SASL or TLS for the connection to ZooKeeper"},
		{"zookeeper.ssl.client.enable", "connections to ZooKeeper cannot use TLS"},
		{"delegation.token.master.key", "there are no delegation tokens"},
		{"delegation.token.secret.key", "there are no delegation tokens"},
		{"authorizer.class.name", "there is no authorizer, so every client could do everything"},
	} {
		if isRequested(cfg, k.key) {
			return fmt.Errorf("%s is set, which this release does not support: %s. Remove the setting to run without it", k.key, k.why)
		}
	}
	return nil
}

func isRequested(cfg *settings.Config, key string) bool {
	text, given := cfg.Original(key)
	return given && text != "" && text != "false"
}
