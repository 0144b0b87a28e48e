//go:build race

package network

// poison overwrites a returned buffer, so that tests detect code that still uses it.
func poison(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}
