package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes the machine and the sizes of the run.
func machine(work string, z sizes) string {
	memory := "unknown"
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if mib, err := statusMiB(string(info), "MemTotal"); err == nil {
			memory = fmt.Sprintf("%.1f GiB", mib/1024)
		}
	}
	return fmt.Sprintf("%d cores (%s), %s of memory, Linux %s, %s, %s. Everything on one machine over loopback; %d rounds; medians, with the smallest and the largest sample in brackets; the ratio is that of the medians.\nA round: %d MiB in large batches, %d MiB in small ones, %v of latency; %.3g GB of log to recover.",
		runtime.NumCPU(), firstValue("/proc/cpuinfo", "model name"), memory, firstLine("/proc/sys/kernel/osrelease"), javaVersion(), runtime.Version(),
		z.rounds, z.largeBytes>>20, z.smallBytes>>20, z.latency, float64(z.recoveryBytes)/1e9)
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// firstValue returns the value of the first "name : value" line.
func firstValue(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func javaVersion() string {
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return "unknown Java"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// syncDisk waits until everything written to the file system of dir is on disk.
func syncDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync the disk of %s: %w", dir, err)
	}
	return nil
}

// checkSpace returns an error if the disk has too little space for the logs.
func checkSpace(dir string, needed int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("get the free space on the disk of %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < needed {
		return fmt.Errorf("the disk of %s has %.1f GB free and the run needs %.1f GB; set TMPDIR to a directory on a larger one, or use -quick or -recovery-gb", dir, float64(free)/1e9, float64(needed)/1e9)
	}
	return nil
}
