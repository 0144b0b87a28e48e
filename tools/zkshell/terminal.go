package zkshell

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal edits lines on a terminal, with a history and completion. It is raw only while a line is
// edited, so a command can be interrupted.
type terminal struct {
	sh     *shell
	input  *os.File
	output *os.File
	lines  *term.Terminal
}

// newTerminal returns the terminal of the shell, or nil if it has none.
func newTerminal(sh *shell) *terminal {
	input, isFile := sh.env.Stdin.(*os.File)
	output, alsoFile := sh.env.Stdout.(*os.File)
	if !sh.env.Terminal || !isFile || !alsoFile || !term.IsTerminal(int(input.Fd())) {
		return nil
	}
	t := &terminal{sh: sh, input: input, output: output}
	t.lines = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{input, output}, "")
	t.lines.AutoCompleteCallback = t.complete
	return t
}

// run runs lines until the input ends.
func (t *terminal) run() error {
	for !t.sh.ended {
		line, err := t.edit()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.sh.line(line); err != nil {
			return err
		}
	}
	return nil
}

// edit reads a line. Events that happen meanwhile are printed above it.
func (t *terminal) edit() (string, error) {
	before, err := term.MakeRaw(int(t.input.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(int(t.input.Fd()), before) }()
	if width, height, err := term.GetSize(int(t.output.Fd())); err == nil && width > 0 {
		_ = t.lines.SetSize(width, height)
	}
	t.lines.SetPrompt(t.sh.prompt())
	t.setOutput(t.lines, t.lines)
	defer t.setOutput(t.sh.env.Stdout, t.sh.env.Stderr)
	return t.lines.ReadLine()
}

func (t *terminal) setOutput(out, errs io.Writer) {
	t.sh.mu.Lock()
	defer t.sh.mu.Unlock()
	t.sh.out, t.sh.errs = out, errs
}

// complete completes the word before the cursor: a command, or a path. If there are several ways, it
// lists them above the line. It is called for each key.
func (t *terminal) complete(line string, position int, key rune) (newLine string, newPosition int, done bool) {
	if key != '\t' {
		return "", 0, false
	}
	start := strings.LastIndexByte(line[:position], ' ') + 1
	word := line[start:position]
	all := t.sh.candidates(word, start == 0)
	completed := commonPrefix(all)
	if len(completed) > len(word) {
		return line[:start] + completed + line[position:], start + len(completed), true
	}
	if len(all) > 1 {
		t.sh.println(strings.Join(all, "  "))
	}
	return line, position, true
}

// candidates returns what a word can be completed to.
func (sh *shell) candidates(word string, first bool) (all []string) {
	if first {
		for _, name := range names() {
			if strings.HasPrefix(name, word) {
				all = append(all, name+" ")
			}
		}
		return all
	}
	at := strings.LastIndexByte(word, '/')
	if !strings.HasPrefix(word, "/") || !sh.session.alive() {
		return nil
	}
	parent := word[:max(at, 1)]
	children, _, err := sh.children(parent, false)
	if err != nil {
		return nil
	}
	for _, child := range children {
		if path := below(parent, child); strings.HasPrefix(path, word) {
			all = append(all, path)
		}
	}
	return all
}

// commonPrefix returns the longest text with which all begin.
func commonPrefix(all []string) string {
	if len(all) == 0 {
		return ""
	}
	prefix := all[0]
	for _, text := range all {
		for !strings.HasPrefix(text, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}
