// Package spelling finds the known word that a mistyped one was probably meant to be.
package spelling

// Nearest returns the known word whose spelling is closest to word, or "" if none is similar. If
// several are equally close, the first one counts.
func Nearest(word string, known []string) string {
	best, limit := "", len(word)/3+1
	for _, name := range known {
		if d := distance(word, name, limit); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// distance returns the number of insertions, deletions, replacements and exchanges of neighbors that
// turn a into b, but at most limit.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return min(row[len(b)], limit)
}
