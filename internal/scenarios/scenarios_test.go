package scenarios

import (
	"strings"
	"testing"
)

func TestReplayShowsWhatCommandsPrintNow(t *testing.T) {
	echo := func(command string) []string { return strings.Fields(command)[1:] }
	const file = "# a comment\n\nprint a b\n----\nsomething\nold\n\nprint\n----\n\n# the end\nprint c\n----\nc\n"
	const want = "# a comment\n\nprint a b\n----\na\nb\n\nprint\n----\n\n# the end\nprint c\n----\nc\n"
	if got := replay(file, echo); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := firstDifference(file, want); !strings.HasPrefix(got, "line 5\nwant:\nsomething\n") {
		t.Errorf("the difference: %s", got)
	}
}
