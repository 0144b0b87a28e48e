package settings

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// Configurations that tools write to ZooKeeper themselves: those of clients, users and addresses,
// and those of brokers that are not running.

var quotaKeys = []*Key{
	row[int64]("producer_byte_rate", math.MaxInt64, nil, Medium, ClusterWide,
		"Largest number of bytes per second that a client may produce."),
	row[int64]("consumer_byte_rate", math.MaxInt64, nil, Medium, ClusterWide,
		"Largest number of bytes per second that a client may fetch."),
	row[float64]("request_percentage", math.MaxInt32, nil, Medium, ClusterWide,
		"Largest share of a thread's time that the requests of a client may take, in percent."),
	row[float64]("controller_mutation_rate", math.MaxInt32, nil, Medium, ClusterWide,
		"Largest number of partitions per second that a client may create or delete."),
}

var (
	clientTable = newTable(quotaKeys...)
	userTable   = newTable(append(slices.Clone(quotaKeys),
		nullableRow[string]("SCRAM-SHA-256", nil, Medium, ClusterWide, "Credential of a user for SCRAM-SHA-256."),
		nullableRow[string]("SCRAM-SHA-512", nil, Medium, ClusterWide, "Credential of a user for SCRAM-SHA-512."))...)
	addressTable = newTable(row[int32]("connection_creation_rate", math.MaxInt32, atLeast(0), Medium, ClusterWide,
		"Largest number of connections per second that an address may open."))
)

// IsClientQuota reports whether the key is a quota of clients and users.
func IsClientQuota(key string) bool { return clientTable.byName[key] != nil }

// IsAddressQuota reports whether the key is a quota of addresses.
func IsAddressQuota(key string) bool { return addressTable.byName[key] != nil }

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
	secret, given := encoder[passwordEncoderSecret.Name]
	if !given {
		return nil, &NeedsSecret{passwords}
	}
	e := &passwordEncoder{secret: secret, keyFactory: "PBKDF2WithHmacSHA512",
		cipher: *show(mustParse(Lookup(passwordEncoderCipherAlgorithm.Name)))}
	if text := encoder[passwordEncoderCipherAlgorithm.Name]; text != "" {
		e.cipher = text
	}
	for name, target := range map[string]*int{passwordEncoderKeyLength.Name: &e.keyBits, passwordEncoderIterations.Name: &e.iterations} {
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
