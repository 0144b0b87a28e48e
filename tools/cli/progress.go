package cli

import (
	"fmt"
	"strings"
	"time"
)

// Progress is a progress bar for an operation of known size. It is shown only if stderr is a
// terminal. Not safe for concurrent use.
type Progress struct {
	Env   *Env
	Total int64
	What  string // precedes the bar; may be empty
	Late  bool   // operations that end within 200 ms show no bar
	drawn time.Time
	width int // width of the line on the screen
}

// Show draws the bar at done of the total. It redraws at most every 200 ms.
func (p *Progress) Show(done int64) {
	if !p.Env.Progress || p.Total <= 0 || time.Since(p.drawn) < 200*time.Millisecond {
		return
	}
	late := p.Late && p.drawn.IsZero()
	p.drawn = time.Now()
	if late {
		return
	}
	const cells = 40
	full := int(min(done, p.Total) * cells / p.Total)
	what := p.What
	if what != "" {
		what += " "
	}
	line := what + fmt.Sprintf("[%s%s] %d%% %d of %d", strings.Repeat("#", full), strings.Repeat(".", cells-full), min(done, p.Total)*100/p.Total, done, p.Total)
	fmt.Fprintf(p.Env.Stderr, "\r%-*s", p.width, line)
	p.width = len(line)
}

// Clear removes the bar, before other lines are printed and at the end.
func (p *Progress) Clear() {
	if p.width > 0 {
		fmt.Fprintf(p.Env.Stderr, "\r%*s\r", p.width, "")
		p.width, p.drawn = 0, time.Time{}
	}
}
