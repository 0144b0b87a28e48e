package cli

import (
	"errors"
	"regexp"
	"testing"
)

func TestPatternErrorsHaveTheTextOfJava(t *testing.T) {
	for pattern, want := range map[string]string{
		"o(":  "Unclosed group near index 2\no(",
		"o[a": "Unclosed character class near index 2\no[a\n  ^",
	} {
		_, err := regexp.Compile(pattern)
		if bad := PatternError(pattern, err); bad.Error() != want || JavaClass(bad) != "java.util.regex.PatternSyntaxException" {
			t.Errorf("%s: %v", pattern, bad)
		}
	}
	if bad := PatternError("a**", errors.New("any")); bad.Error() != "any" {
		t.Errorf("another error became %v", bad)
	}
}
