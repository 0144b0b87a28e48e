package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// readPartitionMetadata reads the topic id in a partition directory, zero if there is no file. A
// malformed file is an error.
func readPartitionMetadata(fsys vfs.FS, dir string) (metadata.TopicID, error) {
	path := filepath.Join(dir, partitionMetadataFile)
	data, err := readFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return metadata.TopicID{}, nil
	}
	if err != nil {
		return metadata.TopicID{}, err
	}
	id, err := parsePartitionMetadata(string(data))
	if err != nil {
		return id, fmt.Errorf("Failed to read the partition metadata file %s: %w", path, err)
	}
	return id, nil
}

// parsePartitionMetadata parses two lines: "version: 0", and "topic_id: " with the id in base64url
// without padding.
func parsePartitionMetadata(text string) (id metadata.TopicID, err error) {
	version, rest, _ := strings.Cut(text, "\n")
	if v, ok := metadataField(version, "version"); !ok || v != "0" {
		return id, fmt.Errorf("unrecognized version in line %q", version)
	}
	line, _, _ := strings.Cut(rest, "\n")
	encoded, ok := metadataField(line, "topic_id")
	if !ok {
		return id, fmt.Errorf("malformed line %q", line)
	}
	id, err = javatext.ParseUUID(encoded)
	if err != nil {
		return id, fmt.Errorf("malformed topic ID %q", encoded)
	}
	if id == (metadata.TopicID{}) {
		return id, fmt.Errorf("Invalid topic ID in partition metadata file (%s)", encoded)
	}
	return id, nil
}

func metadataField(line, name string) (value string, ok bool) {
	key, value, ok := strings.Cut(strings.TrimRight(line, "\r"), ":")
	trimmed := strings.TrimLeft(value, " \t")
	return trimmed, ok && key == name && trimmed != value
}

// partitionMetadata returns the content of the file for a topic id.
func partitionMetadata(id metadata.TopicID) []byte {
	return []byte("version: 0\ntopic_id: " + javatext.UUID(id))
}

// removePartitionMetadata deletes the file, as Kafka does when
// inter.broker.protocol.version is below 2.8.
func removePartitionMetadata(fsys vfs.FS, dir string) error {
	if err := fsys.Remove(filepath.Join(dir, partitionMetadataFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
