package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is the source tree that is packaged.
type source struct {
	root    string // absolute path
	version string
	time    time.Time // of everything that is written
}

var releaseConstant = regexp.MustCompile(`(?m)^const Release = "([^"]+)"$`)

// openSource finds the version and the time of a source tree.
func openSource(root string) (*source, error) {
	text, err := os.ReadFile(filepath.Join(root, "tools/cli/release.go"))
	if err != nil {
		return nil, err
	}
	found := releaseConstant.FindSubmatch(text)
	if found == nil {
		return nil, errors.New("tools/cli/release.go has no constant Release")
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		out, err := exec.Command("git", "-C", root, "log", "-1", "--format=%ct").Output()
		if err != nil {
			return nil, fmt.Errorf("the time of the last commit is unknown (%w): set SOURCE_DATE_EPOCH to seconds since 1970", err)
		}
		seconds = strings.TrimSpace(string(out))
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return &source{root: root, version: string(found[1]), time: time.Unix(n, 0).UTC()}, nil
}

// build makes the files for one architecture.
type build struct {
	*source
	arch    string // GOARCH
	work    string // directory for intermediate files
	busybox string // the option -busybox

	licenses []license
}

// maxBinary is the size in bytes that the stripped binary may have.
const maxBinary = 40_000_000

func (b *build) binary() string { return filepath.Join(b.work, "monedula") }

// name returns the name of the archive without its suffix, in the form of Kafka's.
func (b *build) name() string { return "monedula-" + b.version + "-linux-" + b.arch }

// prepare compiles the binary and collects the licenses of what is linked into it.
func (b *build) prepare() error {
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return err
	}
	if err := b.compile(); err != nil {
		return err
	}
	var err error
	b.licenses, err = linkedLicenses(b.root, b.arch)
	return err
}

// environment returns the environment of the go command for a Linux of an architecture. Settings of
// the user that change the output have no effect.
func environment(arch string) []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-trimpath", "GOEXPERIMENT=", "GOWORK=off")
}

// compile builds the binary without symbols and checks that it is static and not too large.
func (b *build) compile() error {
	cmd := exec.Command("go", "build", "-buildvcs=auto", "-ldflags=-s -w -buildid=", "-o", b.binary(), "./cmd/monedula")
	cmd.Dir, cmd.Env = b.root, environment(b.arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	info, err := os.Stat(b.binary())
	if err != nil {
		return err
	}
	if info.Size() > maxBinary {
		return fmt.Errorf("the binary has %d bytes, more than %d", info.Size(), maxBinary)
	}
	return checkStatic(b.binary())
}

// checkStatic returns an error for a program that needs a dynamic linker.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically", path)
		}
	}
	return nil
}
