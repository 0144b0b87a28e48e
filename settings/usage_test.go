package settings

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// read matches code of other packages that reads a key: Int("num.partitions").
var read = regexp.MustCompile(`\.(String|StringOrNil|Int|Long|Double|Bool|List|Password|IsNull)\("([a-zA-Z0-9]+(?:\.[a-zA-Z0-9]+)+)"\)`)

// Reading a key that the table does not have panics. This test finds such code.
func TestKeysThatTheCodeReadsExistWithTheirType(t *testing.T) {
	types := map[string][]Type{"String": {String, Class}, "Int": {Int, Short}, "Long": {Long, Int, Short}, "Double": {Double},
		"Bool": {Boolean}, "List": {List}, "Password": {Password}}
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(source), "monedula/settings") && filepath.Dir(path) != "../settings" {
			return err
		}
		for _, m := range read.FindAllStringSubmatch(string(source), -1) {
			found++
			k := broker.byName[m[2]]
			if k == nil {
				t.Errorf("%s reads %s, which is not a key", path, m[2])
				continue
			}
			ok := m[1] == "StringOrNil" && k.Type == String || m[1] == "IsNull"
			for _, typ := range types[m[1]] {
				ok = ok || k.Type == typ
			}
			if !ok {
				t.Errorf("%s reads %s as %s, but it is a %s", path, m[2], m[1], k.Type)
			}
			if k.Default == null && strings.Contains("Int Long Double Bool", m[1]) && filepath.Dir(path) != "../settings" &&
				!strings.Contains(string(source), `IsNull("`+m[2]+`")`) {
				t.Errorf("%s reads %s without asking whether it is null", path, m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("only %d reads of keys were found: does the pattern still fit?", found)
	}
}
