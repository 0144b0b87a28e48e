package storage

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/magiconair/properties"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// The keys of meta.properties that Kafka knows.
const (
	metaVersionKey     = "version"
	metaBrokerIDKey    = "broker.id"
	metaNodeIDKey      = "node.id"
	metaClusterIDKey   = "cluster.id"
	metaDirectoryIDKey = "directory.id"
)

// metaProperties is the content of meta.properties, which identifies the owner of the directory.
type metaProperties struct {
	version     int               // 0 (ZooKeeper mode) or 1
	brokerID    metadata.BrokerID // broker.id in version 0, node.id in version 1; -1 if missing
	clusterID   string            // "" if missing
	directoryID string            // "" if missing
	others      map[string]string
}

// readMetaProperties reads a directory's meta.properties; the error is fs.ErrNotExist if it has
// none.
func readMetaProperties(fs vfs.FS, dir string) (metaProperties, error) {
	path := filepath.Join(dir, metaPropertiesFile)
	data, err := readFile(fs, path)
	if err != nil {
		return metaProperties{}, err
	}
	m, err := parseMetaProperties(data)
	if err != nil {
		return m, fmt.Errorf("Error while reading meta.properties file %s: %w", path, err)
	}
	return m, nil
}

// parseMetaProperties parses the file as Java's Properties.load does.
func parseMetaProperties(data []byte) (metaProperties, error) {
	m := metaProperties{brokerID: -1}
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(data)
	if err != nil {
		return m, err
	}
	values := p.Map()
	if v, ok := values[metaVersionKey]; ok {
		if m.version, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
			return m, fmt.Errorf("Invalid meta.properties version string '%s'", v)
		}
		if m.version != 0 && m.version != 1 {
			return m, fmt.Errorf("Unknown meta.properties version number %d", m.version)
		}
	}
	if v, ok := values[m.idKey()]; ok {
		id, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return m, fmt.Errorf("Unable to read %s as a base-10 number: '%s'", m.idKey(), v)
		}
		m.brokerID = metadata.BrokerID(id)
	} else if m.version == 1 {
		return m, fmt.Errorf("Failed to find %s", metaNodeIDKey)
	}
	m.clusterID, m.directoryID = values[metaClusterIDKey], values[metaDirectoryIDKey]
	if m.version == 1 && m.clusterID == "" {
		return m, fmt.Errorf("%s was not found.", metaClusterIDKey)
	}
	known := []string{metaVersionKey, m.idKey(), metaClusterIDKey, metaDirectoryIDKey}
	for k, v := range values {
		if !slices.Contains(known, k) {
			if m.others == nil {
				m.others = map[string]string{}
			}
			m.others[k] = v
		}
	}
	return m, nil
}

// idKey returns the key of the broker id.
func (m metaProperties) idKey() string {
	if m.version == 0 {
		return metaBrokerIDKey
	}
	return metaNodeIDKey
}

// equal reports whether m and o are the same, so that nothing must be rewritten.
func (m metaProperties) equal(o metaProperties) bool {
	return m.version == o.version && m.brokerID == o.brokerID && m.clusterID == o.clusterID &&
		m.directoryID == o.directoryID && maps.Equal(m.others, o.others)
}

// writeMetaProperties replaces a directory's file, atomically and durably, with what Java's
// Properties.store would write at time now.
func writeMetaProperties(fs vfs.FS, dir string, m metaProperties, now time.Time) error {
	return writeFileAtomic(fs, filepath.Join(dir, metaPropertiesFile), m.encode(now))
}

func (m metaProperties) encode(now time.Time) []byte {
	values := maps.Clone(m.others)
	if values == nil {
		values = map[string]string{}
	}
	values[metaVersionKey] = strconv.Itoa(m.version)
	if m.brokerID >= 0 {
		values[m.idKey()] = strconv.Itoa(int(m.brokerID))
	}
	if m.clusterID != "" {
		values[metaClusterIDKey] = m.clusterID
	}
	if m.directoryID != "" {
		values[metaDirectoryIDKey] = m.directoryID
	}
	var b strings.Builder
	b.WriteString("#\n#" + now.Format("Mon Jan 02 15:04:05 MST 2006") + "\n")
	for _, k := range javatext.PropertiesOrder(slices.Sorted(maps.Keys(values))) {
		b.WriteString(escapeProperty(k, true) + "=" + escapeProperty(values[k], false) + "\n")
	}
	return []byte(b.String())
}

// escapeProperty escapes a key or value as Java does. Outside of printable ASCII it writes \u
// escapes, which every reader understands.
func escapeProperty(s string, key bool) string {
	var b strings.Builder
	for i, c := range s {
		switch c {
		case ' ':
			if key || i == 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(' ')
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\f':
			b.WriteString(`\f`)
		case '=', ':', '#', '!', '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			if c >= ' ' && c <= '~' {
				b.WriteRune(c)
				continue
			}
			for _, unit := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(&b, `\u%04X`, unit)
			}
		}
	}
	return b.String()
}
