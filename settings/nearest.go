package settings

import "github.com/monedula/monedula/internal/spelling"

// Nearest returns the known key whose spelling is closest to key, or "" if none is similar.
func Nearest(key string) string {
	var names []string
	for _, keys := range []*table{broker, monedula} {
		for _, k := range keys.keys {
			names = append(names, k.Name)
		}
	}
	return spelling.Nearest(key, names)
}
