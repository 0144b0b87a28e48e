package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/sassoftware/go-rpmutils"
)

const everything = "MONEDULA_TEST_ALL"

var work string // directory of the test binary

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "monedula-packaging-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(work)
	os.Exit(code)
}

// prepared returns the build for an architecture, compiled once for all tests.
var prepared = sync.OnceValues(func() (*build, error) { return prepare(runtime.GOARCH) })

func prepare(arch string) (*build, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	src, err := openSource(root)
	if err != nil {
		return nil, err
	}
	b := &build{source: src, arch: arch, work: filepath.Join(work, arch)}
	return b, b.prepare()
}

func ready(t *testing.T) *build {
	t.Helper()
	b, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// output is a file that a build made.
type output struct {
	name string
	data []byte
}

// outputs keeps what made has made. The tests do not run in parallel.
var outputs = map[*build]map[string]output{}

// made returns the name and content of a file that the build makes, once for all tests.
func made(t *testing.T, b *build, format string) (string, []byte) {
	t.Helper()
	o, found := outputs[b][format]
	if !found {
		if outputs[b] == nil {
			outputs[b] = map[string]output{}
		}
		o.name, o.data = madeAgain(t, b, format)
		outputs[b][format] = o
	}
	return o.name, o.data
}

func madeAgain(t *testing.T, b *build, format string) (string, []byte) {
	t.Helper()
	name, data, err := b.make(format)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return name, data
}

// entries returns the headers of a compressed archive in their order.
func entries(t *testing.T, data []byte) (headers []*tar.Header) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
	}
}

func TestTheArchiveHasKafkasDirectories(t *testing.T) {
	b := ready(t)
	name, data := made(t, b, "tgz")
	top := "monedula-" + b.version + "-linux-" + b.arch
	if name != top+".tgz" {
		t.Errorf("the archive is named %s", name)
	}
	var names []string
	for _, h := range entries(t, data) {
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || !h.ModTime.Equal(b.time) || h.Mode != 0o644 && h.Mode != 0o755 {
			t.Errorf("%s: owner %d:%d %s, mode %o, time %v", h.Name, h.Uid, h.Gid, h.Uname, h.Mode, h.ModTime)
		}
	}
	for _, want := range []string{"bin/", "bin/kafka-topics.sh", "config/server.properties", "libs/", "docs/operations.md", "licenses/MODULES.txt",
		"licenses/Go/LICENSE", "licenses/github.com/twmb/franz-go/LICENSE", "LICENSE", "README.md", "CHANGELOG.md", "monedula"} {
		if !slices.Contains(names, top+"/"+want) {
			t.Errorf("the archive has no %s", want)
		}
	}
	if !slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/")) }) {
		t.Error("the archive is not sorted")
	}

	// The scripts find the binary wherever the archive is unpacked.
	unpacked := filepath.Join(t.TempDir(), "with a space")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command("tar", "xzf", "-", "-C", unpacked)
	unpack.Stdin = bytes.NewReader(data)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(unpacked, top, "bin/kafka-topics.sh"), "--version").CombinedOutput()
	if err != nil || string(out) != "3.9.1\n" {
		t.Errorf("kafka-topics.sh --version: %v\n%s", err, out)
	}
}

// Packages and images made twice are equal. With MONEDULA_TEST_ALL the binary is compiled in two
// directories, once with an empty cache.
func TestTheSameSourceGivesTheSameBytes(t *testing.T) {
	one, other := ready(t), ready(t)
	if os.Getenv(everything) != "" {
		one, other = compiledIn(t, "one", ""), compiledIn(t, "another directory", t.TempDir())
	}
	for _, format := range []string{"tgz", "deb", "rpm", "image"} {
		name, data := made(t, one, format)
		again, same := madeAgain(t, other, format)
		if name != again || !bytes.Equal(data, same) {
			t.Errorf("%s differs from %s", again, name)
		}
	}
}

// compiledIn clones the source tree and compiles it there, with another cache if one is given.
func compiledIn(t *testing.T, directory, cache string) *build {
	t.Helper()
	root := filepath.Join(t.TempDir(), directory)
	if out, err := exec.Command("git", "clone", "-q", "..", root).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	if cache != "" {
		t.Setenv("GOCACHE", cache)
	}
	src, err := openSource(root)
	if err != nil {
		t.Fatal(err)
	}
	b := &build{source: src, arch: runtime.GOARCH, work: t.TempDir()}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	return b
}

// The other architecture can be built; with MONEDULA_TEST_ALL it is.
func TestBothArchitecturesArePackaged(t *testing.T) {
	arches := []string{runtime.GOARCH}
	if os.Getenv(everything) != "" {
		arches = []string{"amd64", "arm64"}
	}
	for _, arch := range arches {
		b := ready(t)
		if arch != b.arch {
			var err error
			if b, err = prepare(arch); err != nil {
				t.Fatal(err)
			}
		}
		wanted := map[string]map[string]string{
			"amd64": {"tgz": "linux-amd64.tgz", "deb": "1_amd64.deb", "rpm": "1.x86_64.rpm"},
			"arm64": {"tgz": "linux-arm64.tgz", "deb": "1_arm64.deb", "rpm": "1.aarch64.rpm"},
		}[arch]
		for format, suffix := range wanted {
			if name, data := made(t, b, format); !strings.HasPrefix(name, "monedula") || !strings.HasSuffix(name, suffix) || len(data) < 1e6 {
				t.Errorf("%s of %s: %s with %d bytes", format, arch, name, len(data))
			}
		}
	}
}

// freePorts returns ports on loopback that are not in use.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// isolated runs a script of testdata in namespaces of its own. All its processes and mounts end with
// it.
func isolated(t *testing.T, script string, args ...string) {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", file}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "ALL GOOD\n") {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
}

func TestTheDebianPackageIsInstalledRunUpgradedAndRemoved(t *testing.T) {
	name, data := made(t, ready(t), "deb")
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 2)
	isolated(t, "installed.sh", file, t.TempDir(), ports[0], ports[1])
}

// The rpm has the files of the Debian package.
func TestBothPackagesHaveTheSameFiles(t *testing.T) {
	b := ready(t)
	_, data := made(t, b, "rpm")
	rpm, err := rpmutils.ReadRpm(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files, err := rpm.Header.GetFiles()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		if f.UserName() != "root" || f.GroupName() != "root" {
			t.Errorf("%s belongs to %s:%s", f.Name(), f.UserName(), f.GroupName())
		}
		got[f.Name()] = f.Linkname()
	}
	_, debian := made(t, b, "deb")
	list := exec.Command("dpkg-deb", "--fsys-tarfile", "/dev/stdin")
	list.Stdin = bytes.NewReader(debian)
	plain, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := path.Clean("/" + h.Name); h.Typeflag != tar.TypeDir || path.Base(name) == "libs" {
			want[name] = h.Linkname
		}
	}
	for name := range got { // an rpm may list directories too
		if _, found := want[name]; !found && !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(w string) bool { return strings.HasPrefix(w, name+"/") }) {
			t.Errorf("only the rpm has %s", name)
		}
	}
	for name, link := range want {
		if linked, found := got[name]; !found || linked != link {
			t.Errorf("%s: in the rpm %v, a link to %q, want %q", name, found, linked, link)
		}
	}
	for tag, words := range map[int]string{rpmutils.POSTIN: "useradd --system", rpmutils.PREUN: "systemctl disable --now", rpmutils.POSTUN: "daemon-reload"} {
		if script, err := rpm.Header.GetString(tag); err != nil || !strings.Contains(script, words) {
			t.Errorf("the script %d of the rpm: %v\n%s", tag, err, script)
		}
	}
}

// The image has two layers; its files, unpacked, run.
func TestTheImageHasItsLayersAndRuns(t *testing.T) {
	b := ready(t)
	name, data := made(t, b, "image")
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; config.Architecture != b.arch || config.OS != "linux" || !config.Created.Equal(b.time) || c.User != "kafka" || c.StopSignal != "SIGTERM" ||
		!slices.Equal(c.Entrypoint, []string{"/opt/monedula/entrypoint.sh"}) || len(config.History) != 2 {
		t.Errorf("the configuration of the image: %+v", config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	for i, wanted := range [][]string{{"bin/busybox", "bin/sh", "etc/passwd", "var/lib/kafka/"}, {"opt/monedula/entrypoint.sh", "opt/monedula/monedula", "opt/monedula/bin/kafka-topics.sh", "opt/monedula/licenses/MODULES.txt"}} {
		compressed, err := layers[i].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(compressed)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, h := range entries(t, content) {
			names = append(names, h.Name)
			if owner := map[bool]int{true: imageUser}[strings.HasPrefix(h.Name, "var/l") && strings.HasSuffix(h.Name, "/kafka/")]; h.Uid != owner || h.Gid != owner || !h.ModTime.Equal(b.time) {
				t.Errorf("%s: owner %d:%d, time %v", h.Name, h.Uid, h.Gid, h.ModTime)
			}
		}
		for _, want := range wanted {
			if !slices.Contains(names, want) {
				t.Errorf("layer %d has no %s", i, want)
			}
		}
	}

	root := t.TempDir()
	unpack := exec.Command("tar", "xf", "-", "-C", root, "--same-owner", "--same-permissions")
	unpack.Stdin = mutate.Extract(image)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	ports := freePorts(t, 2)
	isolated(t, "contained.sh", append([]string{root, ports[0], ports[1]}, config.Config.Env...)...)
}

// docs/licenses.md is current, and the same modules are linked for both architectures.
func TestTheLicensesOfDependenciesAreListed(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(root, "docs/licenses.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		all, err := linkedLicenses(root, arch)
		if err != nil {
			t.Fatal(err)
		}
		if want := licenseTable(all); want != string(table) {
			t.Errorf("docs/licenses.md is not current for %s: run `make licenses`. Want:\n%s", arch, want)
		}
	}
}

func TestUnknownAndForbiddenLicensesAreRefused(t *testing.T) {
	directory := t.TempDir()
	l := license{module: "example.com/m", root: directory}
	if err := l.check(); err == nil || !strings.Contains(err.Error(), "no license of example.com/m was recognized") {
		t.Errorf("without a license: %v", err)
	}
	l.kinds = []string{"AGPL-3.0"}
	if err := l.check(); err == nil || !strings.Contains(err.Error(), "example.com/m has the license AGPL-3.0, which is not among those permitted") {
		t.Errorf("with another license: %v", err)
	}
}
