package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/settings/check"
)

// localFacts are what was seen of the broker on this machine.
type localFacts struct {
	zooKeeper string // zookeeper.connect of the file
	found     []findings.Finding
}

// examineLocal checks the configuration of the broker on this machine, its directories, and the
// limits of its process.
func (e *examination) examineLocal(name string) {
	data, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		e.addLocal(findings.Error, conclusion{"unreadable", name, "the configuration cannot be read: " + err.Error(), "", ""})
		return
	}
	found, _ := check.Files([]check.File{{Name: name, Data: data}}, 0)
	for _, f := range found {
		if f.Severity != findings.Remark {
			e.local.found = append(e.local.found, f)
		}
	}
	c, err := settings.LoadFrom(data, name, nil)
	if err != nil {
		return // the check has reported it
	}
	e.local.zooKeeper = settings.ZooKeeperConnect.OrZero(c)
	for _, dir := range c.LogDirs() {
		e.examineDirectory(dir)
	}
	e.examineProcess(name)
}

func (e *examination) addLocal(severity findings.Severity, c conclusion) {
	e.local.found = append(e.local.found, findings.Finding{Severity: severity, Code: c.code, Subject: c.subject, Text: c.text, Cause: c.cause, Remedy: c.remedy})
}

// examineDirectory checks that a log directory exists and can be written, and how full its disk is.
func (e *examination) examineDirectory(dir string) {
	subject := "directory " + dir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.addLocal(findings.Remark, conclusion{"no-directory", subject, "it does not exist", "No broker with this configuration has run here.", ""})
		return
	case err != nil:
		e.addLocal(findings.Error, conclusion{"directory-access", subject, "it cannot be read: " + err.Error(), "The user of the broker may lack permissions.", "chown -R USER " + dir})
		return
	case !info.IsDir():
		e.addLocal(findings.Error, conclusion{"directory-access", subject, "it is not a directory", "", "Correct log.dirs."})
		return
	case unix.Access(dir, unix.W_OK) != nil:
		e.addLocal(findings.Warning, conclusion{"directory-access", subject, "this user may not write to it", "It belongs to another user, perhaps because a broker was once started as root.", "Run this program as the user of the broker, or: chown -R USER " + dir})
	}
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil || disk.Blocks == 0 {
		return
	}
	total, usable := int64(disk.Blocks)*int64(disk.Bsize), int64(disk.Bavail)*int64(disk.Bsize)
	if usable < total/10 {
		c := conclusion{"disk-full", subject, fmt.Sprintf("its disk has %s left of %s (%d %%)", bytesText(usable), bytesText(total), usable*100/total),
			"Retention may be too long for the disk, or something else fills it.", "du -sh " + dir + "/* | sort -h | tail"}
		severity := findings.Warning
		if usable < total/100 {
			severity = findings.Error
		}
		e.addLocal(severity, c)
	}
}

// fewFiles is the limit of open files below which a broker with some thousand partitions fails.
const fewFiles = 65536

// examineProcess checks the limit of open files of the broker that runs with the configuration. It
// is found by its command line, and only for processes that may be seen.
func (e *examination) examineProcess(config string) {
	absolute, err := filepath.Abs(config)
	if err != nil {
		return
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return
	}
	for _, line := range lines {
		text, err := os.ReadFile(filepath.Clean(line))
		words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		process := filepath.Dir(line)
		if err != nil || !isBrokerOf(words, absolute, process) {
			continue
		}
		e.examineLimits(process)
	}
}

// isBrokerOf reports whether a command line is that of a broker with the configuration.
func isBrokerOf(words []string, config, process string) bool {
	broker := false
	for _, w := range words {
		if w == "kafka-server-start" || w == "kafka.Kafka" {
			broker = true
			continue
		}
		if broker && !filepath.IsAbs(w) {
			if at, err := os.Readlink(process + "/cwd"); err == nil {
				w = filepath.Join(at, w)
			}
		}
		if broker && filepath.Clean(w) == config {
			return true
		}
	}
	return false
}

// examineLimits compares the open files of a process with their limit.
func (e *examination) examineLimits(process string) {
	limits, err := os.ReadFile(filepath.Clean(process + "/limits"))
	if err != nil {
		return
	}
	limit := openFilesLimit(string(limits))
	open, err := os.ReadDir(process + "/fd")
	subject := "process " + filepath.Base(process)
	switch {
	case limit < 0:
	case err == nil && int64(len(open)) > limit*8/10:
		e.addLocal(findings.Error, conclusion{"open-files", subject, fmt.Sprintf("it has %d open files, and %d are allowed", len(open), limit),
			"Each segment of each partition and each connection takes a file. At the limit connections are refused and log directories fail.", "Set LimitNOFILE=100000 or more in the systemd unit, or ulimit -n before the start, and restart the broker."})
	case limit < fewFiles:
		e.addLocal(findings.Remark, conclusion{"open-files", subject, fmt.Sprintf("at most %d open files are allowed", limit),
			"Each segment of each partition and each connection takes a file.", "Set LimitNOFILE=100000 or more in the systemd unit, or ulimit -n before the start."})
	}
}

// openFilesLimit returns the soft limit of open files in the text of /proc/PID/limits, or -1.
func openFilesLimit(limits string) int64 {
	for _, line := range strings.Split(limits, "\n") {
		rest, found := strings.CutPrefix(line, "Max open files")
		if !found {
			continue
		}
		if fields := strings.Fields(rest); len(fields) > 0 {
			if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}
