package metrics

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"
)

// CollectProcess adds metrics of the process, under the names that Prometheus' client libraries
// use. Metrics that the operating system does not provide are left out.
func CollectProcess(r *Registry) {
	start := time.Now()
	process := func(name string) Name { return Name{Group: "process", Type: name} }
	goRuntime := func(name string) Name { return Name{Group: "go", Type: name} }
	r.Collect(func(s *Scrape) {
		s.Gauge(process("start_time_seconds"), float64(start.UnixMilli())/1e3)
		if rss, ok := residentBytes(); ok {
			s.Gauge(process("resident_memory_bytes"), float64(rss))
		}
		if files, err := os.ReadDir("/proc/self/fd"); err == nil {
			s.Gauge(process("open_fds"), float64(len(files)))
		}
		if seconds, ok := cpuSeconds(); ok {
			s.Counter(process("cpu_seconds_total"), seconds)
		}
		s.Gauge(goRuntime("goroutines"), float64(runtime.NumGoroutine()))
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
		metrics.Read(samples)
		s.Gauge(goRuntime("memstats_heap_alloc_bytes"), float64(samples[0].Value.Uint64()))
		s.Gauge(goRuntime("memstats_sys_bytes"), float64(samples[1].Value.Uint64()))
		s.Counter(goRuntime("gc_cycles_total"), float64(samples[2].Value.Uint64()))
	})
}

// residentBytes returns how much memory of the process is in RAM.
func residentBytes() (int64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	return field(text, 1, int64(os.Getpagesize()))
}

// DiskBytes returns how many bytes the process has read from and written to disks. ok is false if
// the operating system does not report it.
func DiskBytes() (read, written int64, ok bool) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, 0, false
	}
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		n, err := strconv.ParseInt(string(value), 10, 64)
		switch {
		case err != nil:
		case string(key) == "read_bytes":
			read, ok = n, true
		case string(key) == "write_bytes":
			written = n
		}
	}
	return read, written, ok
}

// clockTicks is the number of ticks per second in /proc, on every platform that Go supports.
const clockTicks = 100

// cpuSeconds returns the processor time used in user and kernel mode.
func cpuSeconds() (float64, bool) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	_, rest, found := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(" ")) // the name before the parenthesis may contain spaces
	user, hasUser := field(rest, 11, 1)
	system, hasSystem := field(rest, 12, 1)
	return float64(user+system) / clockTicks, found && hasUser && hasSystem
}

// field returns the i-th number of a line, multiplied by unit.
func field(text []byte, i int, unit int64) (int64, bool) {
	fields := bytes.Fields(text)
	if i >= len(fields) {
		return 0, false
	}
	n, err := strconv.ParseInt(string(fields[i]), 10, 64)
	return n * unit, err == nil
}
