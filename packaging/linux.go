package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the format deb
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // the format rpm
)

const (
	libDirectory    = "/usr/lib/monedula"
	docDirectory    = "/usr/share/doc/monedula"
	configDirectory = "/etc/monedula"
)

// installedValues are the values that packages set in the configuration files, by file and key.
var installedValues = map[string]map[string]string{
	"server.properties":    {"log.dirs": "/var/lib/monedula/data"},
	"zookeeper.properties": {"dataDir": "/var/lib/monedula/zookeeper", "clientPortAddress": "127.0.0.1"},
}

// ownFiles maps files of the directory linux to where packages install them. Those in /etc are
// configuration files, which an upgrade does not overwrite.
var ownFiles = map[string]string{
	"monedula.service":           "/usr/lib/systemd/system/monedula.service",
	"monedula-zookeeper.service": "/usr/lib/systemd/system/monedula-zookeeper.service",
	"monedula.default":           "/etc/default/monedula",
	"monedula.logrotate":         "/etc/logrotate.d/monedula",
}

// writePackage writes a package for the format deb or rpm and returns its name.
func (b *build) writePackage(to io.Writer, format string) (name string, err error) {
	contents, err := b.packageContents()
	if err != nil {
		return "", err
	}
	script := func(name string) string { return filepath.Join(b.root, "packaging/linux", name) }
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "monedula", Arch: b.arch, Platform: "linux", Version: b.version, Release: "1", VersionSchema: "none",
		Section: "misc", Priority: "optional", Maintainer: "The Monedula authors", Vendor: "Monedula", License: "Apache-2.0",
		Description:     "ZooKeeper-based Apache Kafka broker as one static binary\nMonedula speaks Kafka's protocol and keeps Kafka's znodes and files. The package has\nthe broker, the tools, and an embedded ZooKeeper server for development.",
		DisableGlobbing: true, MTime: b.time,
		Overridables: nfpm.Overridables{
			Contents: contents, Recommends: []string{"logrotate"},
			Scripts: nfpm.Scripts{PostInstall: script("postinstall.sh"), PreRemove: script("preremove.sh"), PostRemove: script("postremove.sh")},
			RPM:     nfpm.RPM{BuildHost: "localhost", Summary: "ZooKeeper-based Apache Kafka broker as one static binary"},
		},
	})
	if format == "deb" {
		info.Depends = []string{"passwd"}
	} else {
		info.Depends = []string{"shadow-utils"}
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	return packager.ConventionalFileName(info), packager.Package(info, to)
}

// packageContents returns what packages install. Kafka's directories are below /usr/lib/monedula;
// config and logs are links there, so scripts find them where they look.
func (b *build) packageContents() (contents files.Contents, err error) {
	all, err := b.tree()
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.isDir() {
			if f.path == "libs" {
				contents = append(contents, b.content(f, "", libDirectory+"/libs", files.TypeDir))
			}
			continue
		}
		if f, err = b.onDisk(f); err != nil {
			return nil, err
		}
		to, kind := installedAt(f.path), files.TypeFile
		if strings.HasPrefix(to, "/etc/") {
			kind = files.TypeConfigNoReplace
		}
		contents = append(contents, b.content(f, f.from, to, kind))
		if link := linkOf(f.path); link != "" {
			contents = append(contents, b.content(file{mode: 0o777}, "../lib/monedula/"+f.path, link, files.TypeSymlink))
		}
	}
	for name, to := range ownFiles {
		kind := files.TypeFile
		if strings.HasPrefix(to, "/etc/") {
			kind = files.TypeConfigNoReplace
		}
		contents = append(contents, b.content(file{mode: 0o644}, filepath.Join(b.root, "packaging/linux", name), to, kind))
	}
	return append(contents,
		b.content(file{mode: 0o777}, configDirectory, libDirectory+"/config", files.TypeSymlink),
		b.content(file{mode: 0o777}, "/var/log/monedula", libDirectory+"/logs", files.TypeSymlink)), nil
}

// installedAt returns where packages install a file of the distribution.
func installedAt(name string) string {
	top, rest, _ := strings.Cut(name, "/")
	switch {
	case strings.HasPrefix(name, "config/monitoring/"): // to copy to the machines that monitor
		return docDirectory + "/" + rest
	case top == "config":
		return configDirectory + "/" + rest
	case name == "LICENSE":
		return docDirectory + "/copyright"
	case top == "docs":
		return docDirectory + "/" + rest
	case top == "licenses", rest == "" && strings.HasSuffix(name, ".md"):
		return docDirectory + "/" + name
	default:
		return libDirectory + "/" + name
	}
}

// linkOf returns the link in /usr/bin to a file of the distribution, or "".
func linkOf(name string) string {
	base := path.Base(name)
	if name == "monedula" || path.Dir(name) == "bin" && (strings.HasPrefix(base, "kafka-") || strings.HasPrefix(base, "zookeeper-")) {
		return "/usr/bin/" + base
	}
	return ""
}

func (b *build) content(f file, from, to, kind string) *files.Content {
	return &files.Content{Source: from, Destination: to, Type: kind,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode.Perm(), MTime: b.time}}
}

// onDisk returns a file whose content is on disk, with the values that packages set.
func (b *build) onDisk(f file) (file, error) {
	directory, base := path.Split(f.path)
	values := installedValues[base]
	if directory != "config/" {
		values = nil
	}
	if f.from != "" && values == nil {
		return f, nil
	}
	text, err := f.content()
	if err != nil {
		return f, err
	}
	for key, value := range values {
		text = withValue(text, key, value)
	}
	f.from = filepath.Join(b.work, strings.ReplaceAll(f.path, "/", "_"))
	return f, os.WriteFile(f.from, text, fs.FileMode(0o644))
}

// withValue returns a properties file in which a key has another value.
func withValue(text []byte, key, value string) []byte {
	var out bytes.Buffer
	found := false
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte(key+"=")) {
			found = true
			line = []byte(key + "=" + value + "\n")
		}
		out.Write(line)
	}
	if !found {
		fmt.Fprintf(&out, "%s=%s\n", key, value)
	}
	return out.Bytes()
}
