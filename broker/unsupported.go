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
	for _, k := range []struct {
		key *settings.Key
		why string
	}{
		{settings.ZooKeeperSetACL.Key, "it needs SASL or TLS for the connection to ZooKeeper"},
		{settings.ZooKeeperSSLClientEnable.Key, "connections to ZooKeeper cannot use TLS"},
		{settings.DelegationTokenMasterKey.Key, "there are no delegation tokens"},
		{settings.DelegationTokenSecretKey.Key, "there are no delegation tokens"},
		{settings.AuthorizerClassName.Key, "there is no authorizer, so every client could do everything"},
	} {
		if isRequested(cfg, k.key) {
			return fmt.Errorf("%s is set, which this release does not support: %s. Remove the setting to run without it", k.key.Name, k.why)
		}
	}
	return nil
}

func isRequested(cfg *settings.Config, key *settings.Key) bool {
	text, given := cfg.Given(key)
	return given && text != "" && text != "false"
}
