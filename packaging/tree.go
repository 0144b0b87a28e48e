package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// file is a file or directory of the distribution.
type file struct {
	path string // relative, with slashes
	mode fs.FileMode
	from string // the file on disk; empty for a directory and for text
	text []byte
	link string // the target of a symbolic link
	uid  int    // of the owner, also used as gid
}

func (f file) isDir() bool { return f.mode.IsDir() }

// content returns the bytes of a file.
func (f file) content() ([]byte, error) {
	if f.from == "" {
		return f.text, nil
	}
	return os.ReadFile(f.from)
}

// tree returns the distribution: Kafka's directories and the binary, sorted, each directory before
// its files.
func (b *build) tree() ([]file, error) {
	files := []file{
		{path: "monedula", mode: 0o755, from: b.binary()},
		{path: "libs", mode: fs.ModeDir | 0o755}, // scripts expect it; the binary needs no jars
	}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "scripts/zookeeper-classpath.sh"} {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		files = append(files, file{path: name, mode: mode, from: filepath.Join(b.root, name)})
	}
	for _, directory := range []string{"bin", "config", "docs"} {
		more, err := filesBelow(b.root, directory)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	files = append(files, licenseFiles(b.licenses)...)
	return withParents(files), nil
}

// filesBelow returns the files of a directory of the source tree. Whether a file is executable is
// kept; the other bits of modes depend on the user's umask.
func filesBelow(root, directory string) (files []file, err error) {
	err = filepath.WalkDir(filepath.Join(root, directory), func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		relative, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		files = append(files, file{path: filepath.ToSlash(relative), mode: mode, from: at})
		return nil
	})
	return files, err
}

// withParents adds the directories of the files and sorts all by path.
func withParents(files []file) []file {
	known := map[string]bool{}
	for _, f := range files {
		known[f.path] = true
	}
	for _, f := range files[:len(files):len(files)] {
		for dir := path.Dir(f.path); dir != "." && !known[dir]; dir = path.Dir(dir) {
			known[dir] = true
			files = append(files, file{path: dir, mode: fs.ModeDir | 0o755})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return files
}
