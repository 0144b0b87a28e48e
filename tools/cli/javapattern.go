package cli

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
)

// PatternError returns the error of Java for a regular expression that cannot be compiled. err is
// that of Go. Groups and classes that are not closed have Java's text.
func PatternError(pattern string, err error) error {
	text := err.Error()
	var bad *syntax.Error
	if errors.As(err, &bad) {
		switch bad.Code {
		case syntax.ErrMissingParen:
			text = fmt.Sprintf("Unclosed group near index %d\n%s", len(pattern), pattern)
		case syntax.ErrMissingBracket:
			at := len(pattern) - 1
			text = fmt.Sprintf("Unclosed character class near index %d\n%s\n%s^", at, pattern, strings.Repeat(" ", at))
		}
	}
	return NewJavaError("java.util.regex.PatternSyntaxException", text)
}
