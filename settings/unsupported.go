package settings

import "fmt"

// UnsupportedError is the error for a setting that requires protection this release does not have.
type UnsupportedError struct{ Key, Text string }

func (e *UnsupportedError) Error() string { return e.Text }

// CheckSupported refuses settings that require protection this release does not have. Running
// without it would be worse than not starting. The error is an *UnsupportedError.
func CheckSupported(cfg *Config) error {
	for _, e := range cfg.Listeners() {
		if e.Protocol != Plaintext {
			return &UnsupportedError{listeners.Name, fmt.Sprintf("listeners: %s://%s:%d requires %s, which this release does not support; only PLAINTEXT listeners are supported",
				e.Listener, e.Host, e.Port, e.Protocol)}
		}
	}
	for _, k := range []struct {
		key *Key
		why string
	}{
		{ZooKeeperSetACL.Key, "it needs SASL or TLS for the connection to ZooKeeper"},
		{zooKeeperSSLClientEnable.Key, "connections to ZooKeeper cannot use TLS"},
		{delegationTokenMasterKey.Key, "there are no delegation tokens"},
		{delegationTokenSecretKey.Key, "there are no delegation tokens"},
		{authorizerClassName.Key, "there is no authorizer, so every client could do everything"},
	} {
		if isRequested(cfg, k.key) {
			return &UnsupportedError{k.key.Name, fmt.Sprintf("%s is set, which this release does not support: %s. Remove the setting to run without it", k.key.Name, k.why)}
		}
	}
	return nil
}

func isRequested(cfg *Config, key *Key) bool {
	text, given := cfg.Given(key)
	return given && text != "" && text != "false"
}
