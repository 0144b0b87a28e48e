package tools

import (
	"fmt"
	"strings"
	"time"
)

// progress is a progress bar for an operation of known size. It is shown only if stderr is a
// terminal. Not safe for concurrent use.
type progress struct {
	env   *Env
	total int64
	drawn time.Time
	width int // width of the line on the screen
}

// show draws the bar at done of the total. It redraws at most every 200 ms.
func (p *progress) show(done int64) {
	if !p.env.Progress || p.total <= 0 || time.Since(p.drawn) < 200*time.Millisecond {
		return
	}
	p.drawn = time.Now()
	const cells = 40
	full := int(min(done, p.total) * cells / p.total)
	line := fmt.Sprintf("[%s%s] %d%% %d of %d", strings.Repeat("#", full), strings.Repeat(".", cells-full), min(done, p.total)*100/p.total, done, p.total)
	fmt.Fprintf(p.env.Stderr, "\r%-*s", p.width, line)
	p.width = len(line)
}

// clear removes the bar, before other lines are printed and at the end.
func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprintf(p.env.Stderr, "\r%*s\r", p.width, "")
		p.width, p.drawn = 0, time.Time{}
	}
}
