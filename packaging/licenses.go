package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// license is what must be distributed with a module that is linked into the binary.
type license struct {
	module  string
	version string
	root    string   // directory of the module
	kinds   []string // SPDX identifiers
	files   []string // paths of the license and notice files
}

// permitted are the licenses that a dependency may have. They allow distribution under the Apache
// License if their texts are included.
var permitted = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "ISC", "0BSD", "Zlib"}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// linkedLicenses returns the licenses of the modules that the program on Linux consists of, sorted,
// after that of Go itself.
func linkedLicenses(root, arch string) ([]license, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", "./cmd/monedula")
	cmd.Dir, cmd.Env = root, environment(arch)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, errs.Bytes())
	}
	found := map[string]license{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		m := p.Module
		if m == nil || m.Main {
			continue
		}
		l := found[m.Path]
		l.module, l.version, l.root = m.Path, m.Version, m.Dir
		for dir := p.Dir; len(dir) >= len(m.Dir); dir = filepath.Dir(dir) { // packages may contain code of others
			if err := l.read(dir); err != nil {
				return nil, err
			}
		}
		found[m.Path] = l
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	own := license{module: "Go", version: runtime.Version(), root: strings.TrimSpace(string(goroot))}
	if err := own.read(own.root); err != nil {
		return nil, err
	}
	all := []license{own}
	for _, l := range found {
		all = append(all, l)
	}
	slices.SortFunc(all[1:], func(a, b license) int { return cmp.Compare(a.module, b.module) })
	for _, l := range all {
		if err := l.check(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// read adds the license and notice files of a directory.
func (l *license) read(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(directory, entry.Name())
		if entry.IsDir() || !licenseFile.MatchString(entry.Name()) || slices.Contains(l.files, name) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		l.files = append(l.files, name)
		for _, match := range licensecheck.Scan(text).Match {
			if !match.IsURL && !slices.Contains(l.kinds, match.ID) && !strings.HasPrefix(match.ID, "GooglePatent") {
				l.kinds = append(l.kinds, match.ID)
			}
		}
	}
	slices.Sort(l.kinds)
	slices.Sort(l.files)
	return nil
}

// check returns an error for a license that is unknown or not permitted.
func (l *license) check() error {
	if len(l.kinds) == 0 {
		return fmt.Errorf("no license of %s was recognized in %s", l.module, l.root)
	}
	for _, kind := range l.kinds {
		if !slices.Contains(permitted, kind) {
			return fmt.Errorf("%s has the license %s, which is not among those permitted: %s", l.module, kind, strings.Join(permitted, ", "))
		}
	}
	return nil
}

// licenseFiles returns the directory licenses of the distribution: a list of the modules, and the
// files of each.
func licenseFiles(all []license) (files []file) {
	var list strings.Builder
	for _, l := range all {
		fmt.Fprintf(&list, "%s %s: %s\n", l.module, l.version, strings.Join(l.kinds, ", "))
		for _, from := range l.files {
			relative := strings.TrimPrefix(strings.TrimPrefix(from, l.root), "/")
			files = append(files, file{path: "licenses/" + l.module + "/" + relative, mode: 0o644, from: from})
		}
	}
	return append(files, file{path: "licenses/MODULES.txt", mode: 0o644, text: []byte(list.String())})
}

// licenseTable returns docs/licenses.md: the modules and their licenses, without versions.
func licenseTable(all []license) string {
	var table strings.Builder
	table.WriteString("# Licenses\n\nThe binary contains these modules. Packages and images have the texts of their licenses in `licenses`.\n" +
		"`make licenses` writes this file.\n\n| module | license |\n|---|---|\n")
	for _, l := range all {
		fmt.Fprintf(&table, "| %s | %s |\n", l.module, strings.Join(l.kinds, ", "))
	}
	return table.String()
}

// writeLicenseTable writes docs/licenses.md in a source tree.
func writeLicenseTable(root string) error {
	all, err := linkedLicenses(root, "amd64")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs/licenses.md"), []byte(licenseTable(all)), 0o644)
}
