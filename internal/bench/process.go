package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit of the CPU times in /proc, which Linux fixes for
// programs whatever the kernel's own clock is.
const ticksPerSecond = 100

// cpuSeconds returns the CPU time, user and system, that a process and its
// threads have used since it started.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// parseCPU reads /proc/PID/stat: after the name in brackets, which may hold
// any character, the state is field 0, utime 11 and stime 12.
func parseCPU(stat string) (float64, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("unexpected content of /proc/PID/stat: %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, err
	}
	return float64(user+system) / ticksPerSecond, nil
}

// residentMiB returns how much of a process is in memory (VmRSS) and the most
// there ever was (VmHWM), in MiB.
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

// statusMiB reads a "Name:   123 kB" line of /proc/PID/status.
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
