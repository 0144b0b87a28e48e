package configs

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"regexp"
	"strconv"

	"github.com/monedula/monedula/tools/cli"
)

// scramMechanism is a SCRAM mechanism for storing passwords (RFC 5802).
type scramMechanism struct {
	number        int8 // number in requests
	hash          func() hash.Hash
	minIterations int
}

var scramMechanisms = map[string]scramMechanism{
	"SCRAM-SHA-256": {1, sha256.New, 4096},
	"SCRAM-SHA-512": {2, sha512.New, 4096},
}

const defaultIterations = 4096

func scramName(number int8) string {
	for name, m := range scramMechanisms {
		if m.number == number {
			return name
		}
	}
	return "UNKNOWN"
}

var credentialForm = regexp.MustCompile(`^(?:iterations=(-?[0-9]*),)?password=(.*)$`)

// parse parses [iterations=N,]password=P. shown is the name of the mechanism in the error for too
// few iterations.
func (m scramMechanism) parse(name, text, shown string) (iterations int, password string, err error) {
	parts := credentialForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, "", cli.IllegalArgument(fmt.Sprintf("Invalid credential property %s=%s", javaScramName(name), text))
	}
	iterations = defaultIterations
	if parts[1] != "" && parts[1] != "-1" {
		n, err := strconv.ParseInt(parts[1], 10, 32)
		if err != nil {
			return 0, "", cli.IllegalArgument(fmt.Sprintf("For input string: \"%s\"", parts[1]))
		}
		iterations = int(n)
	}
	if iterations < m.minIterations {
		return 0, "", cli.IllegalArgument(fmt.Sprintf("Iterations %d is less than the minimum %d required for %s", iterations, m.minIterations, shown))
	}
	return iterations, parts[2], nil
}

// javaScramName returns the name of the Java constant, such as SCRAM_SHA_256.
func javaScramName(name string) string { return "SCRAM_SHA_" + name[len("SCRAM-SHA-"):] }

func (m scramMechanism) salted(password string, salt []byte, iterations int) ([]byte, error) {
	return pbkdf2.Key(m.hash, password, salt, iterations, m.hash().Size())
}

func (m scramMechanism) mac(key []byte, text string) []byte {
	h := hmac.New(m.hash, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// stored returns a credential in the format stored in ZooKeeper.
func (m scramMechanism) stored(password string, salt []byte, iterations int) (string, error) {
	salted, err := m.salted(password, salt, iterations)
	if err != nil {
		return "", err
	}
	storedKey := m.hash()
	storedKey.Write(m.mac(salted, "Client Key"))
	in64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("salt=%s,stored_key=%s,server_key=%s,iterations=%d",
		in64(salt), in64(storedKey.Sum(nil)), in64(m.mac(salted, "Server Key")), iterations), nil
}
