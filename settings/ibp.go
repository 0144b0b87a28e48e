package settings

import (
	"errors"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// IBP is an inter.broker.protocol.version. It determines which formats brokers use between each
// other and in ZooKeeper. Versions are ordered; the zero value is the oldest.
type IBP struct{ index int }

// ibpVersions are all versions of Kafka 3.9, oldest first.
var ibpVersions = []string{
	"0.8.0", "0.8.1", "0.8.2", "0.9.0", "0.10.0-IV0", "0.10.0-IV1", "0.10.1-IV0", "0.10.1-IV1", "0.10.1-IV2",
	"0.10.2-IV0", "0.11.0-IV0", "0.11.0-IV1", "0.11.0-IV2", "1.0-IV0", "1.1-IV0", "2.0-IV0", "2.0-IV1", "2.1-IV0",
	"2.1-IV1", "2.1-IV2", "2.2-IV0", "2.2-IV1", "2.3-IV0", "2.3-IV1", "2.4-IV0", "2.4-IV1", "2.5-IV0", "2.6-IV0",
	"2.7-IV0", "2.7-IV1", "2.7-IV2", "2.8-IV0", "2.8-IV1", "3.0-IV0", "3.0-IV1", "3.1-IV0", "3.2-IV0", "3.3-IV0",
	"3.3-IV1", "3.3-IV2", "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
	"3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1",
}

// unreleased is the release that Kafka 3.9 does not accept by its short name, but only by its exact
// versions.
const unreleased = "4.0"

// ParseIBP parses a version. 2.8-IV1 is exact; 2.8 and 2.8.2 mean the newest version of 2.8.
func ParseIBP(text string) (IBP, error) {
	segments := 2
	if strings.HasPrefix(text, "0.") {
		segments = 3
	}
	key := text
	if parts := strings.Split(text, "."); len(parts) > segments {
		key = strings.Join(parts[:segments], ".")
	}
	for i, v := range slices.Backward(ibpVersions) {
		if release, _, _ := strings.Cut(v, "-"); v == key || release == key && release != unreleased {
			return IBP{i}, nil
		}
	}
	return IBP{}, errors.New("Version " + text + " is not a valid version")
}

// MustIBP is like ParseIBP, but panics on an error. It is for constants.
func MustIBP(text string) IBP {
	v, err := ParseIBP(text)
	if err != nil {
		panic("settings: " + err.Error())
	}
	return v
}

// AtLeast reports whether v is the given version or a newer one: AtLeast("3.4-IV0"). The version
// must be exact. It panics for a version that Kafka does not have.
func (v IBP) AtLeast(version string) bool {
	i := slices.Index(ibpVersions, version)
	if i < 0 {
		panic("settings: no inter.broker.protocol.version " + version)
	}
	return v.index >= i
}

// String returns the exact version, such as 3.9-IV0.
func (v IBP) String() string { return ibpVersions[v.index] }

// Magic returns the newest record format that brokers of the version support: 0, 1 or 2.
func (v IBP) Magic() int8 {
	switch {
	case v.AtLeast("0.11.0-IV0"):
		return 2
	case v.AtLeast("0.10.0-IV0"):
		return 1
	}
	return 0
}

// magicRelease returns the first release that has the record format.
func magicRelease(magic int8) string { return [...]string{"0.8.0", "0.10.0", "0.11.0"}[magic] }

func versionNames() string { return javatext.List(ibpVersions) }
