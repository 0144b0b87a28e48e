package settings

import (
	"errors"
	"strings"
	"testing"
)

// A broker can read a password that a tool wrote for it while it was stopped, if both have the same
// secret.
func TestABrokerReadsPasswordsWrittenWhileItWasStopped(t *testing.T) {
	const key = "listener.name.internal.ssl.key.password"
	stored, err := OfflineBroker(map[string]string{key: "guess", "log.cleaner.threads": "2",
		"password.encoder.secret": "key", "password.encoder.iterations": "1024"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) != 2 || stored["log.cleaner.threads"] != "2" || !strings.Contains(stored[key], "iterations:1024") || strings.Contains(stored[key], "guess") {
		t.Errorf("stored %v", stored)
	}
	config, err := FromMap(map[string]string{"zookeeper.connect": "localhost:2181", "password.encoder.secret": "key"})
	if err != nil {
		t.Fatal(err)
	}
	values, ignored := NewDynamic(config).FromStored(stored, true)
	if values[key] != "guess" || len(ignored) > 0 {
		t.Errorf("read %v, ignored %v", values, ignored)
	}
}

func TestInvalidValuesForAStoppedBrokerAreRefused(t *testing.T) {
	_, err := OfflineBroker(map[string]string{"listener.name.internal.ssl.key.password": "guess"}, true)
	var secret *NeedsSecret
	if !errors.As(err, &secret) {
		t.Errorf("a password without a secret: %v", err)
	}
	for key, value := range map[string]string{"broker.id": "3", "ssl.key.password": "x", "log.cleaner.threads": "many"} {
		if stored, err := OfflineBroker(map[string]string{key: value}, true); err == nil {
			t.Errorf("%s=%s is stored as %v", key, value, stored)
		}
	}
}

func TestEntitiesAcceptOnlyTheirOwnKeys(t *testing.T) {
	for name, check := range map[string]func(map[string]string) error{"client": ValidateClient, "user": ValidateUser, "address": ValidateAddress} {
		if err := check(map[string]string{"nosuch": "1"}); !errors.Is(err, ErrUnknownEntityKeys) || err.Error() != "Unknown Dynamic Configuration: HashSet(nosuch)." {
			t.Errorf("%s: %v", name, err)
		}
		if err := check(map[string]string{"q": "1", "a": "1", "p": "1", "b": "1"}); err == nil || err.Error() != "Unknown Dynamic Configuration: HashSet(p, a, q, b)." {
			t.Errorf("%s: %v", name, err)
		}
	}
	var p *Problem
	if err := ValidateClient(map[string]string{"producer_byte_rate": "many"}); !errors.As(err, &p) {
		t.Errorf("a rate that is not a number: %v", err)
	}
	if err := ValidateUser(map[string]string{"producer_byte_rate": "10", "SCRAM-SHA-256": "x"}); err != nil {
		t.Error(err)
	}
	if err := ValidateAddress(map[string]string{"connection_creation_rate": "-1"}); !errors.As(err, &p) {
		t.Errorf("a negative rate: %v", err)
	}
}

// The values themselves specify how a tool encrypts a password.
func TestTheValuesForAStoppedBrokerConfigureThePasswordEncoder(t *testing.T) {
	const key = "listener.name.internal.ssl.key.password"
	stored, err := OfflineBroker(map[string]string{key: "guess", "password.encoder.secret": "key", "password.encoder.key.length": "256",
		"password.encoder.cipher.algorithm": gcmCipher}, true)
	if err != nil || !strings.Contains(stored[key], "keyLength:256,") || !strings.Contains(stored[key], "cipherAlgorithm:"+gcmCipher+",") || !strings.Contains(stored[key], "iterations:4096,") {
		t.Errorf("%v %v", stored, err)
	}
	for name, value := range map[string]string{"password.encoder.key.length": "many", "password.encoder.iterations": "", "password.encoder.cipher.algorithm": "ROT13"} {
		if stored, err := OfflineBroker(map[string]string{key: "guess", "password.encoder.secret": "key", name: value}, true); err == nil {
			t.Errorf("%s=%s is stored as %v", name, value, stored)
		}
	}
	var secret *NeedsSecret
	if _, err := OfflineBroker(map[string]string{key: "guess"}, true); !errors.As(err, &secret) ||
		!strings.HasPrefix(err.Error(), "password.encoder.secret must be specified to update Set("+key+").") {
		t.Errorf("%v", err)
	}
	if stored, err := OfflineBroker(map[string]string{"num.io.threads": "9", "password.encoder.secret": "key"}, false); err != nil || len(stored) != 1 {
		t.Errorf("%v %v", stored, err)
	}
}
