package settings

// Nearest returns the known key whose spelling is closest to key, or "" if none is similar.
func Nearest(key string) string {
	best, limit := "", len(key)/3+1
	for _, keys := range []*table{broker, monedula} {
		for _, k := range keys.keys {
			if d := editDistance(key, k.Name, limit); d < limit {
				best, limit = k.Name, d
			}
		}
	}
	return best
}

// editDistance returns the number of insertions, deletions and replacements that turn a into b, but
// at most limit.
func editDistance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], limit)
}
