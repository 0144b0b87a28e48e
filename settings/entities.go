package settings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// Configurations that tools write to ZooKeeper themselves: those of clients, users and addresses,
// and those of brokers that are not running.

var quotaKeys = []Key{
	{"producer_byte_rate", Long, "9223372036854775807", nil, Medium, ClusterWide,
		"Largest number of bytes per second that a client may produce."},
	{"consumer_byte_rate", Long, "9223372036854775807", nil, Medium, ClusterWide,
		"Largest number of bytes per second that a client may fetch."},
	{"request_percentage", Double, "2147483647", nil, Medium, ClusterWide,
		"Largest share of a thread's time that the requests of a client may take, in percent."},
	{"controller_mutation_rate", Double, "2147483647", nil, Medium, ClusterWide,
		"Largest number of partitions per second that a client may create or delete."},
}

var (
	clientTable = newTable(quotaKeys)
	userTable   = newTable(quotaKeys, []Key{
		{"SCRAM-SHA-256", String, null, nil, Medium, ClusterWide, "Credential of a user for SCRAM-SHA-256."},
		{"SCRAM-SHA-512", String, null, nil, Medium, ClusterWide, "Credential of a user for SCRAM-SHA-512."},
	})
	addressTable = newTable([]Key{
		{"connection_creation_rate", Int, "2147483647", atLeast(0), Medium, ClusterWide,
			"Largest number of connections per second that an address may open."},
	})
)

// ErrUnknownEntityKeys is returned by ValidateClient, ValidateUser and ValidateAddress for unknown
// keys. Its text is Kafka's.
var ErrUnknownEntityKeys = errors.New("Unknown Dynamic Configuration")

// ValidateClient checks the quotas of a client, of a client of a user, or of the default user. The
// error is ErrUnknownEntityKeys or a *Problem.
func ValidateClient(values map[string]string) error { return clientTable.validate(values) }

// ValidateUser is like ValidateClient for the quotas and credentials of a user.
func ValidateUser(values map[string]string) error { return userTable.validate(values) }

// ValidateAddress is like ValidateClient for the quotas of an address.
func ValidateAddress(values map[string]string) error { return addressTable.validate(values) }

func (t *table) validate(values map[string]string) error {
	names := propertiesOrder(values)
	var unknown []string
	for _, name := range names {
		if t.byName[name] == nil {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%w: %s.", ErrUnknownEntityKeys, javatext.MutableSet(unknown, javatext.StringHash))
	}
	for _, name := range names {
		text := values[name]
		if _, err := parseKey(t.byName[name], &text); err != nil {
			return err
		}
	}
	return nil
}

// NeedsSecret is returned by OfflineBroker for passwords without a password.encoder.secret. Its
// text is Kafka's.
type NeedsSecret struct{ Keys []string }

func (e *NeedsSecret) Error() string {
	return fmt.Sprintf("password.encoder.secret must be specified to update %s."+
		" Other password encoder configs like cipher algorithm and iterations may also be specified"+
		" to override the default encoding parameters. Password encoder configs will not be persisted"+
		" in ZooKeeper.", javatext.ImmutableSet(e.Keys, javatext.StringHash))
}

// OfflineBroker converts values for a broker that is not running (perBroker), or for all brokers,
// to those stored in ZooKeeper. The keys with the prefix password.encoder. determine how passwords
// are encrypted and are not stored. The error is a *Problem or *NeedsSecret.
func OfflineBroker(values map[string]string, perBroker bool) (stored map[string]string, err error) {
	stored, encoder := map[string]string{}, map[string]string{}
	for name, text := range values {
		if strings.HasPrefix(name, "password.encoder.") {
			encoder[name] = text
		} else {
			stored[name] = text
		}
	}
	if err := checkDynamic(stored, perBroker); err != nil {
		return nil, err
	}
	var passwords []string
	for _, name := range propertiesOrder(stored) {
		if isStoredSecret(name) {
			passwords = append(passwords, name)
		}
	}
	if len(passwords) == 0 {
		return stored, nil
	}
	secret, given := encoder["password.encoder.secret"]
	if !given {
		return nil, &NeedsSecret{passwords}
	}
	e := &passwordEncoder{secret: secret, keyFactory: "PBKDF2WithHmacSHA512",
		cipher: *show(mustParse(Lookup("password.encoder.cipher.algorithm")))}
	if text := encoder["password.encoder.cipher.algorithm"]; text != "" {
		e.cipher = text
	}
	for name, target := range map[string]*int{"password.encoder.key.length": &e.keyBits, "password.encoder.iterations": &e.iterations} {
		text, given := encoder[name]
		if !given {
			text = *show(mustParse(Lookup(name)))
		}
		if *target, err = strconv.Atoi(text); err != nil {
			return nil, problem(name, fmt.Errorf("For input string: %q", text))
		}
	}
	for _, name := range passwords {
		if stored[name], err = e.encode(stored[name]); err != nil {
			return nil, problem(name, err)
		}
	}
	return stored, nil
}
