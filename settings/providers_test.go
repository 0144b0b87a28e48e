package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Providers look only below allowed.paths, if these are given, however the path
// is written.
func TestProvidersKeepToTheAllowedPaths(t *testing.T) {
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
			if got := c.String("broker.rack"); got != want {
				t.Errorf("%s: %s is %s, want %s", class, placeholder, got, want)
			}
		}
	}
}

// A value that a client sets is never looked up: the error would show it the
// content of a file, or the environment. Real Kafka resolves it.
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
