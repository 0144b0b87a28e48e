package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpuSeconds returns the CPU time, user and system, that a process and its threads, including ended
// ones, have used since it started. It reads the process's CPU clock, whose id the kernel derives
// from the process id, because /proc/PID/stat has the same time only in ticks of 10 ms.
func cpuSeconds(pid int) (float64, error) {
	const wholeProcessRunTime = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|wholeProcessRunTime, &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// residentMiB returns the resident memory of a process (VmRSS) and its maximum so far (VmHWM), in
// MiB.
func residentMiB(pid int) (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if now, err = statusMiB(string(text), "VmRSS"); err != nil {
		return 0, 0, err
	}
	most, err = statusMiB(string(text), "VmHWM")
	return now, most, err
}

// statusMiB parses a "Name: 123 kB" line of /proc/PID/status.
func statusMiB(status, name string) (float64, error) {
	for line := range strings.Lines(status) {
		rest, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		kB, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("unexpected line of /proc/PID/status: %q", line)
		}
		return float64(kB) / 1024, nil
	}
	return 0, fmt.Errorf("/proc/PID/status has no line %s; has the process ended?", name)
}
