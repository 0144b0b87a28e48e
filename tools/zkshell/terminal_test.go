package zkshell

import (
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monedula/monedula/tools/cli"
)

// openTerminal returns both ends of a terminal: that of the user and that of the program.
func openTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return user, program
}

func TestLinesAreEditedRepeatedAndCompletedOnATerminal(t *testing.T) {
	server := startServer(t)
	user, program := openTerminal(t)
	defer user.Close()
	screen := &growing{changed: make(chan struct{}, 1)}
	go func() { _, _ = io.Copy(screen, user) }()
	code := make(chan int)
	go func() {
		defer program.Close()
		code <- Tool.Run(&cli.Env{Stdin: program, Stdout: program, Stderr: program, Terminal: true}, []string{"-server", server})
	}()
	for _, step := range []struct{ keys, shows string }{
		{"", "JLine support is enabled"},
		{"", "(CONNECT"}, // the prompt, before or after the connection
		{"create /kafka-topics x\r", "Created /kafka-topics"},
		{"create /kafka-things y\r", "Created /kafka-things"},
		{"", "(CONNECTED) 2] "},
		{"get /ka\t", "get /kafka-t"},
		{"\t", "/kafka-things  /kafka-topics"},
		{"o\t\r", "\r\nx\r\n"},
		{"\x1b[A\x7f\x7f\x7f\x7f\x7f", "get /kafka-t"}, // up, and backspaces
		{"h\t\r", "\r\ny\r\n"},
		{"hist\t\r", "3 - get /kafka-things"},
		{"ls -w /\r", "[kafka-things, kafka-topics, zookeeper]"},
		{"create /new\r", "NodeChildrenChanged path:/\r\n"},
		{"", "(CONNECTED) 7] "},
		{"\x04", ""},
	} {
		if _, err := io.WriteString(user, step.keys); err != nil {
			t.Fatal(err)
		}
		screen.await(t, step.shows)
		screen.pass(step.shows)
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}
