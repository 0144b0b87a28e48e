package dump

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// The tool must refuse command lines and files that the real one refuses, with the same output.
func TestDumpRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: map[string]string{"file.txt": "no log"}, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "no-files", Args: ""},
		toolreplay.Case{Name: "files-without-argument", Args: "--files"},
		toolreplay.Case{Name: "unknown-option", Args: "--nosuch"},
		toolreplay.Case{Name: "no-such-file", Args: "--files {F}/nosuch.log"},
		toolreplay.Case{Name: "unknown-suffix", Args: "--files {F}/file.txt"},
		toolreplay.Case{Name: "offsets-and-transactions", Args: "--files {F}/file.txt --offsets-decoder --transaction-log-decoder"},
		toolreplay.Case{Name: "version", Args: "--version"},
	)})
}
