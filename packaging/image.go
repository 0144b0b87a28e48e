package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	imageHome = "opt/monedula"
	imageUser = 1000 // uid and gid of kafka
)

// writeImage writes an image that `docker load` and `podman load` read: Debian's static busybox as
// shell for the scripts, and the distribution with the entry script.
func (b *build) writeImage(to io.Writer) error {
	image, err := b.image()
	if err != nil {
		return err
	}
	tag, err := name.NewTag("monedula:" + b.version)
	if err != nil {
		return err
	}
	return tarball.Write(tag, image, to)
}

func (b *build) image() (v1.Image, error) {
	base, err := b.baseFiles()
	if err != nil {
		return nil, err
	}
	distribution, err := b.imageFiles()
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, part := range []struct {
		comment string
		files   []file
	}{{"a shell, users and directories", base}, {"Monedula " + b.version, distribution}} {
		layer, err := b.layer(part.files)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: b.time}, CreatedBy: "make dist", Comment: part.comment}})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = b.arch, "linux", v1.Time{Time: b.time}
	config.Config = v1.Config{
		User: "kafka", WorkingDir: "/" + imageHome, Entrypoint: []string{"/" + imageHome + "/entrypoint.sh"},
		Env:          []string{"PATH=/" + imageHome + "/bin:/usr/bin:/bin", "LOG_DIR=/var/log/kafka", "KAFKA_LOG_DIRS=/var/lib/kafka/data"},
		ExposedPorts: map[string]struct{}{"9092/tcp": {}}, Volumes: map[string]struct{}{"/var/lib/kafka": {}}, StopSignal: "SIGTERM",
		Labels: map[string]string{"org.opencontainers.image.title": "Monedula", "org.opencontainers.image.version": b.version, "org.opencontainers.image.licenses": "Apache-2.0"},
	}
	return mutate.ConfigFile(image, config)
}

// layer returns a compressed layer with the files.
func (b *build) layer(files []file) (v1.Layer, error) {
	var plain bytes.Buffer
	if err := writeTar(&plain, withParents(files), b.time); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// applets are the programs of busybox that the scripts, and users in a container, call.
const applets = "[ ash awk basename cat chmod chown clear cp cut date df dirname du echo egrep env expr false find free grep gzip head hostname id " +
	"ip kill less ln ls md5sum mkdir mktemp more mv nc netstat nslookup ping pgrep pidof printenv printf ps pwd readlink realpath rm rmdir sed seq " +
	"setsid sh sha256sum sleep sort stat tail tar tee test timeout top touch tr true uname uniq vi wc wget which xargs"

// baseFiles returns the shell, the users and the directories of the image.
func (b *build) baseFiles() ([]file, error) {
	shell, notice, err := b.findBusybox()
	if err != nil {
		return nil, err
	}
	text := func(path, content string) file { return file{path: path, mode: 0o644, text: []byte(content)} }
	files := []file{
		{path: "bin/busybox", mode: 0o755, from: shell},
		{path: "usr/bin/env", mode: 0o777, link: "/bin/busybox"}, // the place that scripts name
		{path: "tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{path: "var/lib/kafka", mode: fs.ModeDir | 0o755, uid: imageUser},
		{path: "var/log/kafka", mode: fs.ModeDir | 0o755, uid: imageUser},
		text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nkafka:x:1000:1000:kafka:/opt/monedula:/bin/sh\n"),
		text("etc/group", "root:x:0:\nkafka:x:1000:\n"),
	}
	if notice != "" {
		files = append(files, file{path: "usr/share/doc/busybox/copyright", mode: 0o644, from: notice})
	}
	for applet := range strings.FieldsSeq(applets) {
		files = append(files, file{path: "bin/" + applet, mode: 0o777, link: "busybox"})
	}
	return files, nil
}

// findBusybox returns a static busybox for the architecture and the file with its license: that of
// the option, that of this machine, or that of Debian's package, which it downloads.
func (b *build) findBusybox() (program, notice string, err error) {
	switch installed := "/bin/busybox"; {
	case b.busybox != "":
		program = strings.ReplaceAll(b.busybox, "ARCH", b.arch)
	case b.arch == runtime.GOARCH && checkStatic(installed) == nil:
		program, notice = installed, "/usr/share/doc/busybox-static/copyright"
	default:
		cmd := exec.Command("sh", filepath.Join(b.root, "packaging/busybox.sh"), b.arch, b.work)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return "", "", fmt.Errorf("busybox-static cannot be downloaded (%w): name a static busybox with -busybox", err)
		}
		unpacked := strings.TrimSpace(string(out))
		program, notice = unpacked+"/bin/busybox", unpacked+"/usr/share/doc/busybox-static/copyright"
	}
	return program, notice, checkStatic(program)
}

// imageFiles returns the distribution in the image, with the entry script.
func (b *build) imageFiles() ([]file, error) {
	files, err := b.tree()
	if err != nil {
		return nil, err
	}
	files = append(files, file{path: "entrypoint.sh", mode: 0o755, from: filepath.Join(b.root, "docker/entrypoint.sh")})
	for i := range files {
		files[i].path = imageHome + "/" + files[i].path
	}
	return files, nil
}
