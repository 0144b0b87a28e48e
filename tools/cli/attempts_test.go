package cli

import (
	"bytes"
	"testing"
)

func TestAToolThatFailsNamesTheAddressesThatDidNotAnswer(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		run  func(env *Env)
		want string
	}{
		{"nothing tried", 1, func(*Env) {}, ""},
		{"several addresses", 1, func(env *Env) {
			env.NotReached("a:1", "no such host")
			env.NotReached("b:2", "no such host")
			env.NotReached("b:2", "connection refused")
		}, "Tried without success: a:1: no such host; b:2 (2 times): connection refused.\n"},
		{"an address that answered later", 1, func(env *Env) {
			env.NotReached("a:1", "no such host")
			env.NotReached("b:2", "connection refused")
			env.Reached("a:1")
		}, "Tried without success: b:2: connection refused.\n"},
		{"a program that succeeds", 0, func(env *Env) {
			env.NotReached("a:1", "no such host")
			env.Reached("b:2")
		}, ""},
		{"an exit code of 0 although nothing answered", 0, func(env *Env) { env.NotReached("a:1", "no such host") }, "Tried without success: a:1: no such host.\n"},
		{"the end of the time", 1, func(env *Env) {
			env.NotReached("a:1", "connection refused")
			env.Unanswered("a:1")
			env.Unanswered("b:2")
		}, "Tried without success: a:1: connection refused; b:2: no answer in time.\n"},
	} {
		var errs bytes.Buffer
		env := &Env{Stderr: &errs}
		tool := Tool{Run: func(env *Env, _ []string) int {
			test.run(env)
			return test.code
		}}
		if code := tool.RunExplained(env, nil); code != test.code || errs.String() != test.want {
			t.Errorf("%s: exit code %d, %q; want %q", test.name, code, errs.String(), test.want)
		}
	}
}
