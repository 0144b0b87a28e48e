// Package process describes other processes of this machine to users: which one listens on a port,
// and which program it runs. It reads /proc, so what it finds depends on the user's permissions.
package process

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Describe returns the process with its program, as in "process 123 (monedula dev)".
func Describe(pid int) string {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	text := program(strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00"))
	if err != nil || text == "" {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, text)
}

// program returns the name of a program, and what it runs if that is its first argument.
func program(args []string) string {
	fields := strings.Fields(args[0])
	if len(fields) == 0 {
		return ""
	}
	name := filepath.Base(strings.TrimSuffix(fields[0], ":")) // programs that set a title use one argument
	for i := 1; i < len(args); i++ {
		switch arg := args[i]; {
		case slices.Contains([]string{"-cp", "-classpath", "--class-path", "-m"}, arg):
			i++
		case arg != "" && !strings.HasPrefix(arg, "-"):
			return name + " " + arg
		}
	}
	return name
}

// Listener returns a description of what listens on a TCP port of this machine, or "" if that cannot
// be found out.
func Listener(port int) string {
	sockets := map[string]string{} // user ids by the target of the descriptor's link
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err == nil {
			addListeners(sockets, string(text), port)
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	if pid := owner(sockets); pid != 0 {
		return Describe(pid)
	}
	for _, uid := range sockets {
		if u, err := user.LookupId(uid); err == nil {
			return "a process of the user " + u.Username
		}
	}
	return "a process of another user"
}

// addListeners adds the sockets of a table of the kernel that listen on the port.
func addListeners(to map[string]string, table string, port int) {
	const local, state, uid, inode, listening = 1, 3, 7, 9, "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > inode && f[state] == listening && strings.HasSuffix(f[local], suffix) {
			to["socket:["+f[inode]+"]"] = f[uid]
		}
	}
}

// owner returns the id of a process that has one of the sockets open, or 0.
func owner(sockets map[string]string) int {
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", p.Name(), "fd")
		descriptors, _ := os.ReadDir(dir)
		for _, d := range descriptors {
			target, err := os.Readlink(filepath.Join(dir, d.Name()))
			if _, found := sockets[target]; err == nil && found {
				return pid
			}
		}
	}
	return 0
}
