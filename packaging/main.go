package main

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	out := flag.String("out", "dist", "`directory` to write to")
	arches := flag.String("arch", "amd64,arm64", "processor `architectures`, separated by commas")
	formats := flag.String("format", "tgz,deb,rpm,image", "`formats` to build, separated by commas")
	shell := flag.String("busybox", "", "static busybox for the image; ARCH in the `file` name stands for the architecture (default: Debian's package)")
	table := flag.Bool("licenses", false, "only write docs/licenses.md")
	flag.Parse()
	if *table {
		if err := writeLicenseTable(".."); err != nil {
			fmt.Fprintln(os.Stderr, "packaging:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*out, strings.Split(*arches, ","), strings.Split(*formats, ","), *shell); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// run builds the formats for each architecture in the directory out and prints their sizes.
func run(out string, arches, formats []string, shell string) error {
	for _, format := range formats {
		if !slices.Contains([]string{"tgz", "deb", "rpm", "image"}, format) {
			return fmt.Errorf("unknown format %q; known are tgz, deb, rpm and image", format)
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	src, err := openSource(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "monedula-packaging-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	sums := map[string][sha256.Size]byte{} // by file name
	for _, arch := range arches {
		build := &build{source: src, arch: arch, work: filepath.Join(work, arch), busybox: shell}
		if err := build.prepare(); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		for _, format := range formats {
			name, data, err := build.make(format)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", format, arch, err)
			}
			if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
				return err
			}
			fmt.Printf("%s\t%.1f MB\n", filepath.Join(out, name), float64(len(data))/1e6)
			sums[name] = sha256.Sum256(data)
		}
	}
	return writeSums(out, sums)
}

// make returns the name and the content of the file of a format.
func (b *build) make(format string) (name string, data []byte, err error) {
	var buffer bytes.Buffer
	switch format {
	case "tgz":
		name, err = b.name()+".tgz", b.writeArchive(&buffer)
	case "image":
		name, err = b.name()+"-image.tar", b.writeImage(&buffer)
	default:
		name, err = b.writePackage(&buffer, format)
	}
	return name, buffer.Bytes(), err
}

// writeSums writes the file SHA256SUMS of a directory.
func writeSums(out string, sums map[string][sha256.Size]byte) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%x  %s\n", sums[name], name)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(text.String()), 0o644)
}
