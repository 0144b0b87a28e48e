package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// If allowed.paths is given, providers read only below these paths, in whatever form a path is
// written.
func TestProvidersReadOnlyAllowedPaths(t *testing.T) {
	root := t.TempDir()
	inside, beside := filepath.Join(root, "in"), filepath.Join(root, "in-not")
	for _, dir := range []string{inside, beside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"s.properties": "k=found\n", "k": "found"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, allowed := range map[string]bool{
		inside: true, inside + "/.": true, inside + "/../in": true,
		beside: false, root: false, inside + "/..": false, inside + "/../in-not": false, "": false,
	} {
		for class, placeholder := range map[string]string{
			"FileConfigProvider":      "${p:" + path + "/s.properties:k}",
			"DirectoryConfigProvider": "${p:" + path + ":k}",
		} {
			c := mustLoad(t, "config.providers=p\nconfig.providers.p.class=org.apache.kafka.common.config.provider."+class+
				"\nconfig.providers.p.param.allowed.paths="+inside+"\nbroker.rack="+placeholder+"\n")
			want := placeholder
			if allowed {
				want = "found"
			}
			if got := BrokerRack.OrZero(c); got != want {
				t.Errorf("%s: %s is %s, want %s", class, placeholder, got, want)
			}
		}
	}
}

// A placeholder for a key that its provider does not have stays as it is. A failed lookup is an
// error that names the key.
func TestPlaceholdersThatProvidersCannotResolve(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"s.properties": "k=found\n", "beside": "secret", "in/k": "found", "in/bad.properties": "k=\\u00zz\n"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("MONEDULA_TEST_RACK", "found")
	t.Setenv("NOT_MONEDULA_TEST_RACK", "secret")
	const classes = "org.apache.kafka.common.config.provider."
	const providers = "config.providers=f,d,e,none\nconfig.providers.f.class=" + classes + "FileConfigProvider\nconfig.providers.d.class=" + classes +
		"DirectoryConfigProvider\nconfig.providers.e.class=" + classes + "EnvVarConfigProvider\nconfig.providers.e.param.allowlist.pattern=MONEDULA_.*|X\n"
	for value, want := range map[string]string{
		"${f:" + dir + "/s.properties:k}":        "found",
		"${f:" + dir + "/s.properties:other}":    "",
		"${f::k}":                                "",
		"${f:" + dir + "/nosuch:k}":              "!Could not read properties from file " + dir + "/nosuch",
		"${f:" + dir + "/in/bad.properties:k}":   "!Could not read properties from file",
		"${f:" + dir + "/nosuch:k} ${e:X}":       "!Could not read properties from file",
		"${d:" + dir + "/in:k}":                  "found",
		"${d:" + dir + "/in:other}":              "",
		"${d:" + dir + "/in:../beside}":          "",
		"${d:" + dir + ":in}":                    "",
		"${d::k}":                                "",
		"${e:MONEDULA_TEST_RACK}":                "found",
		"${e:NOT_MONEDULA_TEST_RACK}":            "",
		"${e:MONEDULA_TEST_NOSUCH}":              "",
		"${e:path:MONEDULA_TEST_RACK}":           "!Path is not supported for EnvVarConfigProvider, invalid value 'path'",
		"${none:a:b}":                            "",
		"a ${e:MONEDULA_TEST_RACK} b ${none:k} ": "a found b ${none:k}",
	} {
		c, err := load(t, "zookeeper.connect=z:1\n"+providers+"broker.rack="+value+"\n", nil)
		if wrong, bad := strings.CutPrefix(want, "!"); bad {
			var p *Problem
			if !errors.As(err, &p) || p.Key != "broker.rack" || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v, want %s", value, err, wrong)
			}
			continue
		}
		if want == "" {
			want = value
		}
		if err != nil || BrokerRack.OrZero(c) != want {
			t.Errorf("%s is %s (%v), want %s", value, BrokerRack.OrZero(c), err, want)
		}
	}
	if _, err := load(t, "zookeeper.connect=z:1\nconfig.providers=e\nconfig.providers.e.class="+classes+
		"EnvVarConfigProvider\nconfig.providers.e.param.allowlist.pattern=(\n", nil); err == nil || !strings.Contains(err.Error(), "missing closing") {
		t.Errorf("an invalid pattern: %v", err)
	}
}

// A placeholder in a value that a client sets is not resolved, because the error could show the
// client the content of a file or the environment. Real Kafka resolves it.
func TestPlaceholdersInDynamicValuesAreNotResolved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("k=very-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const provider = "org.apache.kafka.common.config.provider.FileConfigProvider"
	placeholder := "${f:" + file + ":k}"
	for name, static := range map[string]string{"named in the request": "", "of the file": "config.providers=f\nconfig.providers.f.class=" + provider + "\n"} {
		d := NewDynamic(mustLoad(t, static))
		for _, key := range []string{"message.max.bytes", "compression.type", "log.cleaner.min.cleanable.ratio", "max.connections.per.ip.overrides"} {
			err := d.Validate(map[string]string{"config.providers": "f", "config.providers.f.class": provider, key: placeholder}, true)
			if err == nil || strings.Contains(err.Error(), "very-secret") {
				t.Errorf("a provider %s: %s: %v", name, key, err)
			}
		}
	}
}
