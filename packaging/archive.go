package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"io/fs"
	"time"
)

// writeArchive writes the distribution as a compressed tar file with one top directory.
func (b *build) writeArchive(to io.Writer) error {
	files, err := b.tree()
	if err != nil {
		return err
	}
	for i := range files {
		files[i].path = b.name() + "/" + files[i].path
	}
	zipped, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := writeTar(zipped, withParents(files), b.time); err != nil {
		return err
	}
	return zipped.Close()
}

// writeTar writes files, all with the same time.
func writeTar(to io.Writer, files []file, at time.Time) error {
	out := tar.NewWriter(to)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: permissions(f.mode), ModTime: at, Uid: f.uid, Gid: f.uid, Format: tar.FormatPAX}
		if f.uid == 0 {
			header.Uname, header.Gname = "root", "root"
		}
		switch {
		case f.isDir():
			header.Typeflag, header.Name = tar.TypeDir, f.path+"/"
		case f.link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if header.Typeflag != tar.TypeReg {
			if err := out.WriteHeader(header); err != nil {
				return err
			}
			continue
		}
		content, err := f.content()
		if err != nil {
			return err
		}
		header.Size = int64(len(content))
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}

// permissions returns the bits of a mode as tar writes them.
func permissions(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
